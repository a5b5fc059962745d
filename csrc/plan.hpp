// The tensors of one optimizer, checked once, the steps over them, and how many there were.
#pragma once

#include <deque>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "arrays.hpp"
#include "run.hpp"
#include "touched.hpp"

namespace fusedoptim {

// Makes a class of Python one whose objects are taken as gradients of some rows.
void add_row_grad_type(const py::type& type);

// What a step does besides the rule, for all groups alike.
struct Options {
  int accumulate = 1;  // gradients in the mean
  double clip_norm = std::numeric_limits<double>::infinity();
  double clip_value = std::numeric_limits<double>::infinity();
  bool keeps_ema = false;
  double ema = 0;
  double grad_scale = 1;
  bool maximize = false;
  bool zero_grads = false;
  bool require_finite = false;   // no update where the norm of the gradients is not finite,
  bool raise_nonfinite = false;  // but an error
  int num_threads = 0;
};

// Counters change where the arrays do: a signal that comes during a step is handled by Python after it, when both have
// changed or neither.
struct Counters {
  long long t = 0;             // updates done
  long long skipped = 0;       // steps not taken for a gradient that was not finite
  int accumulated = 0;         // gradients in the sums
  std::optional<double> norm;  // of the gradients of the last step that asked for it
};

class Plan {
 public:
  Plan(const std::string& rule, std::size_t n_groups) : rule_at_index(rule_index(rule)), settings(n_groups) {}
  Plan(const Plan&) = delete;

  // Adds a tensor of a group. `arrays` are its weight and states in the order of the rule; `grad_sum` and `ema` may be
  // None; `path` is its place in the nest. After the last one, `finish` refuses overlaps.
  void add(std::size_t group, const std::string& path, const std::vector<py::object>& arrays,
           const py::object& grad_sum, const py::object& ema);
  void finish();

  // Divides each step in two: the rule leaves the weights alone, and in its end `direction(*states)` is called for each
  // tensor, whose result is the gradient that a second rule writes them with. It has hyper-parameters of the first, by
  // their names.
  void divide(const std::string& second, const py::function& direction);

  // Checks gradients once and keeps them, for steps that are given None, until a step is given others.
  void bind(const py::list& grads);

  // Updates all tensors in place, each with an array or, of the rows that it touches alone, with a RowGrad; or raises
  // before anything has changed (of a divided step: unless memory is lacking in its middle). `values` has a list for
  // each group: the rule's hyper-parameters in order, where None stands for t, then the L2 penalty. If `values_at` is
  // not None, it is called with the norm of the gradients and `values`, and returns others to step with.
  void step(const py::object& grads, const py::list& values, const Options& options, const py::object& values_at);

  // The same for one tensor alone, with the values of its group, once in a block of steps, which counts as one step
  // when it ends.
  void step_one(std::size_t tensor, const py::object& grad, const py::list& values, const Options& options);
  void end_block();

  // Adds the gradients to their sums.
  void accumulate(const py::object& grads, const Options& options);

  // The gradients of `bind`, or None.
  py::object bound = py::none();
  Counters counters;

 private:
  struct Tensor {
    std::string path;
    std::vector<py::object> arrays;  // kept alive: weight, states, the sum of gradients, the average
    Buffer w;
    std::size_t group;
    Axes axes;
    Span span;              // which moves into the work when all are there,
    std::size_t place = 0;  // to this place
    bool updated = false;   // in this block
    py::object number{};    // its gradient, where that came as one
  };

  // A tensor whose gradient is of some rows; the others' are in their spans.
  struct Touched {
    const Tensor* tensor;
    py::object rows, values;  // kept alive
    RowGrad grad;
  };

  // The second part of a divided step.
  struct Second {
    std::size_t rule;
    py::function direction;
    std::vector<Settings> settings;  // of each group
  };

  using Interrupt = std::optional<py::error_already_set>;  // or another error that does not come twice

  const Rule& rule() const { return rule_at(rule_at_index); }
  Span& span_of(const Tensor& tensor) { return work.spans[tensor.place]; }
  void refuse_overlap(const Buffer& g);
  void refuse_shared();
  void accept_array(Tensor& tensor, py::handle grad, bool zeroed);
  Touched accept_rows(const Tensor& tensor, py::handle grad, bool zeroed);
  void accept_grad(Tensor& tensor, py::handle grad, bool zeroed, std::vector<Touched>& touched);
  std::vector<Touched> accept_grads(const py::object& grads, bool zeroed);
  Work work_of(const std::vector<Touched>& touched);
  void set_values(const py::list& values, const Options& options);
  void set_group(std::size_t group, py::handle values, const Options& options);
  void set_second(std::size_t group);
  void skip(const std::vector<Touched>& touched, double norm, const Options& options);
  const Tensor* not_finite(const std::vector<Touched>& touched);
  Interrupt write_second(const std::vector<Tensor*>& tensors, int num_threads);

  const std::size_t rule_at_index;
  std::vector<Settings> settings;  // of each group
  double slots = 0;                // of a ring
  std::deque<Tensor> tensors;
  std::vector<Buffer> written;  // all arrays but the gradients, in the order of their addresses
  Work work;
  std::optional<Second> second;
};

}  // namespace fusedoptim
