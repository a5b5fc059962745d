// The tensors of one optimizer, checked once, and the steps over them.
#pragma once

#include <deque>
#include <limits>
#include <string>
#include <vector>

#include "arrays.hpp"
#include "dispatch.hpp"
#include "parallel.hpp"
#include "rows.hpp"

namespace fusedoptim {

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
  bool require_finite = false;  // no update where the norm of the gradients is not finite
  int num_threads = 0;
};

class Plan {
 public:
  Plan(const std::string& rule, std::size_t n_groups) : rule(row_index(rule)), settings(n_groups) {}

  // Adds a tensor of a group. `arrays` are its weight and states in the order of the rule; `grad_sum` and `ema` may be
  // None; `path` is its place in the nest. After the last one, `finish` refuses overlaps.
  void add(std::size_t group, const std::string& path, const std::vector<py::object>& arrays,
           const py::object& grad_sum, const py::object& ema);
  void finish();

  // Checks gradients once and keeps them, for steps that are given None, until a step is given others.
  void bind(const py::list& grads);

  // Updates all tensors in place, each with an array or, of the rows that it touches alone, with a RowGrad; or raises
  // before anything has changed. `values` has a list for each group: the rule's hyper-parameters in order, where None
  // stands for t, then the L2 penalty. Returns the norm of the gradients if it had to be computed. `outcome` is a list
  // of one, which becomes True where the step is taken and False where it is skipped: a signal that comes during the
  // step is handled between its end and whatever Python does next, so that what is returned may be lost.
  py::object step(const py::object& grads, const py::list& values, double t, const Options& options,
                  const py::list& outcome);

  // The same for one tensor alone.
  void step_one(std::size_t tensor, const py::object& grad, const py::list& values, double t, const Options& options,
                const py::list& outcome);

  // Adds the gradients to their sums.
  void accumulate(const py::object& grads, const Options& options, const py::list& outcome);

  // The norm of the gradients, unscaled, or of their mean with those of their sums; changes no array.
  double norm(const py::object& grads, const Options& options);

  // The gradients of `bind`, or None.
  py::object bound = py::none();

 private:
  struct Tensor {
    std::string path;
    std::vector<py::object> arrays;  // kept alive
    Buffer w;
    std::size_t span;  // its place in the work of its dtype
    std::vector<std::size_t> axes;
  };

  // A tensor whose gradient is of some rows; the others' are in their spans.
  struct Touched {
    const Tensor* tensor;
    py::object rows, values;  // kept alive
    RowGrad grad;
  };

  Span& span_of(const Tensor& tensor) { return works[tensor.w.dtype].spans[tensor.span]; }
  void refuse_overlap(const Buffer& g);
  void take_array(Tensor& tensor, py::handle grad, bool zeroed);
  Touched take_rows(const Tensor& tensor, py::handle grad, bool zeroed);
  void take_grad(Tensor& tensor, py::handle grad, bool zeroed, std::vector<Touched>& touched);
  std::vector<Touched> take_grads(const py::object& grads, bool zeroed);
  std::vector<Work> with_rows(const std::vector<Touched>& touched);
  void refuse_shared();
  void take_values(const py::list& values, double t, const Options& options);
  const Row& row() const { return active_table().rows[rule]; }

  const std::size_t rule;
  std::vector<Settings> settings;  // of each group
  double window = 0;
  std::deque<Tensor> tensors;
  std::vector<Buffer> written;  // all arrays but the gradients, in the order of their addresses
  Work works[n_dtypes];
};

}  // namespace fusedoptim
