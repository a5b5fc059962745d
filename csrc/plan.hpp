// The tensors of one optimizer, checked once, the steps over them, and how many there were.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "narrow.hpp"
#include "nest.hpp"
#include "run.hpp"
#include "touched.hpp"

namespace fusedoptim {

// Makes a class of Python one whose objects are taken as gradients of some rows.
void add_row_grad_type(const py::type& type);
bool is_row_grad(py::handle grad);

// A parameter of torch, and the address of its count of steps.
using Holding = std::pair<py::object, std::uintptr_t>;

// What a step does besides the rule, for all groups alike.
struct Options {
  int accumulate = 1;  // gradients in the mean
  bool measures_norm = false;
  double clip_norm = std::numeric_limits<double>::infinity();
  double clip_value = std::numeric_limits<double>::infinity();
  bool keeps_ema = false;
  double ema = 0;
  bool corrects_ema = true;    // its bias towards where it began:
  bool ema_from_zero = false;  // there, or at the weights
  double grad_scale = 1;
  bool maximize = false;
  bool zero_grads = false;
  bool require_finite = false;   // no update where the norm of the gradients is not finite,
  bool raise_nonfinite = false;  // but an error
  std::uint64_t seed = 0;        // of what is rounded at random
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

// Tensors of a group that have taken the same steps, and are frozen all or none. One falls apart where a step, or a
// freeze, takes in some of them alone.
struct Cohort {
  std::size_t group;
  long long steps = 0;     // that they have taken,
  long long averages = 0;  // and those that their averages have: a weight that takes no step is averaged all the same
  std::size_t origin = 0;  // the cohort that it was part of
  bool is_active = false;  // whether it has tensors that are not frozen
  std::size_t all = 0, chosen = 0, goes_to = 0;  // while cohorts part: its tensors, those that leave, and where to
};

class Plan {
 public:
  // Cohorts come as (group, steps, averages). The values of a step have a list for each group or, if the optimizer
  // carries numbers from step to step, for each cohort.
  Plan(const std::string& rule, const std::vector<std::tuple<std::size_t, long long, long long>>& cohorts,
       bool carries);
  Plan(const Plan&) = delete;

  // Adds a tensor of a cohort. `arrays` are its weight and states in the order of the rule, which may be pairs as of
  // `accept_narrow`; `grad_sum`, `ema` and `copy`, of 16 bits, may be None; `path` is its place in the nest. After the
  // last one, `finish` refuses overlaps.
  void add(std::size_t cohort, bool frozen, const std::string& path, const std::vector<py::object>& arrays,
           const py::object& grad_sum, const py::object& ema, const py::object& copy, bool weight_at_random);
  void finish();

  // Gradients come in nests of this skeleton. From now on each step refuses where a nest that has the arrays holds
  // others.
  void watch(const py::object& skeleton, const py::list& of_params, const py::list& of_state);

  // Divides each step in two: the rule leaves the weights alone, and in its end `direction(*states)` is called for each
  // tensor, whose result is the gradient that a second rule writes them with. It has hyper-parameters of the first, by
  // their names.
  void divide(const std::string& second, const py::function& direction);

  // Each tensor is a slice of one that lies with several processes: the number of that, where the slice begins, and the
  // elements of it all. Slices of a tensor follow one another, and each process has one of every tensor, if an empty
  // one. `exchange` is given the sums over the chunks of this process, float64 (n, 2), in the order of the work, and
  // returns those of all in the order of the whole tensors. What it raises ends a step, which may have changed states.
  void slice(const std::vector<std::tuple<std::size_t, std::size_t, std::size_t>>& slices,
             const py::function& exchange);

  // Leaves some tensors out of the steps from now on, or takes them in again.
  void freeze(const std::vector<std::size_t>& tensors, bool frozen);

  // Checks gradients once and keeps them, with what their nest holds, for steps that are given None, until a step is
  // given others.
  void bind(const py::object& grads, const py::list& containers);

  // Updates all tensors in place, each with an array or, of the rows that it touches alone, with a RowGrad; or raises
  // before anything has changed (of a divided step: unless memory is lacking in its middle). `values` has lists of the
  // rule's hyper-parameters in order, where None stands for t, then the L2 penalty. If `values_at` is not None, it is
  // called with the norm of the gradients and `values`, and returns others to step with.
  void step(const py::object& grads, const py::list& values, const Options& options, const py::object& values_at);

  // The same with the gradients in the sums alone.
  void flush(const py::list& values, Options options, const py::object& values_at);

  // The same for one tensor alone, with the values of its cohort, once in a block of steps, which counts as one step
  // when it ends.
  void step_one(std::size_t tensor, const py::object& grad, const py::list& values, const Options& options);
  void end_block(const Options& options);

  // Adds the gradients to their sums.
  void accumulate(const py::object& grads, const Options& options);

  // From now on the arrays are the memory of tensors of torch. `take_tensors` looks at their parameters before each
  // step, and at what has the states; their steps are counted in float32 numbers of torch's. Numbers are taken as torch
  // has checked them. `before_write` is called before each step. Parameters in `idle` have no gradients.
  void hold(const std::vector<Holding>& holdings, const std::vector<py::object>& idle, const py::object& before_write);

  // Takes the gradients of the held parameters, or others for all of them, with the values of each group and whether it
  // ascends; and checks everything. False, and nothing has changed, where a tensor lies elsewhere now, or a gradient
  // otherwise than its parameter: they must be held anew then.
  bool take_tensors(const py::object& grads, const py::list& values, const std::vector<bool>& ascends,
                    const Options& options);
  double norm_of_tensors(const Options& options);  // of the gradients that were taken
  void step_tensors(const py::list& values, const Options& options);
  // The steps of several plans. An interrupt comes before all of them, or after.
  static void step_all(const std::vector<std::pair<Plan*, py::list>>& steps, const Options& options);

  // Refuses where an array is not what it was when it was added, or a nest holds another.
  void check() const;
  void check_state() const { state.check(); }  // the nest of the states alone
  bool is_unchanged() const { return params.is_same() && state.is_same() && arrays.are_same(); }

  // Copies the weights into what is made of them: their averages, and states that begin with them. Only of those that
  // have not begun.
  void begin(const Options& options);

  // Counts other steps, those of each cohort with them.
  void set_t(long long t);

  // Other cohorts, and the one of each tensor.
  void set_counts(const std::vector<std::tuple<std::size_t, long long, long long>>& cohorts,
                  const std::vector<std::size_t>& members);

  std::vector<std::tuple<std::size_t, long long, long long, std::size_t>> known_cohorts() const;  // origin last
  std::vector<std::pair<std::size_t, bool>> members() const;  // of each tensor: its cohort, whether it is frozen

  // For the collector of garbage, which ends a watch where nobody has the plan any more.
  int traverse(visitproc visit, void* arg) const;
  void unwatch() { params = {}, state = {}, skeleton = exchange = py::none(), held.clear(), idle.clear(), unbind(); }

  // The gradients of `bind`, or None.
  py::object bound = py::none();
  Counters counters;

 private:
  struct Tensor {
    std::size_t index, cohort;
    bool frozen;
    bool updated = false;   // in this block
    std::size_t place = 0;  // of its span in the work, if it is not frozen
    Buffer w;
    std::string path;
    std::vector<py::object> arrays;  // kept alive: weight, states, the sum of gradients, the average
    std::size_t known, n_known;      // where they are among those that are known, the weight first
    std::vector<int> copies;         // places in the span of states that begin with the weight
    Axes axes;
    Narrow narrow;
    Slice slice = {};
    Span span;
    py::object number{};  // its gradient, where that came as one
    bool is_narrow() const { return span.narrow != nullptr; }
  };

  // A tensor whose gradient is of some rows; the others' are in their spans.
  struct Touched {
    const Tensor* tensor;
    py::object rows, values;  // kept alive
    RowGrad grad;
    std::vector<float> loaded{};  // of values in 16 bits

    void load(const Buffer& g);
  };

  // The second part of a divided step.
  struct Second {
    std::size_t rule;
    py::function direction;
    std::vector<Settings> settings;  // of each cohort
  };

  struct Held {
    py::object param;
    std::vector<std::int64_t> axes;  // its shape and strides
    float* count;
  };

  using Choice = std::function<bool(const Tensor&)>;
  using Interrupt = std::optional<py::error_already_set>;  // or another error that does not come twice

  const Rule& rule() const { return rule_at(rule_at_index); }
  py::object leaves_of(const py::object& grads) const;
  Span& span_of(const Tensor& tensor) { return work.spans[tensor.place]; }
  void known(const Buffer& array);
  void refuse_overlap(const Buffer& g);
  void refuse_shared();
  void accept_array(Tensor& tensor, py::handle grad, bool zeroed);
  void accept_rows(Touched& touched, bool zeroed);
  std::vector<Touched> touched_by(const py::object& grads) const;
  void accept_grads(const py::object& grads, std::vector<Touched>& touched, bool zeroed);
  void check(const Tensor& tensor) const;
  void check_bound_nest() const;
  static void check_writeable(const Tensor& tensor);
  void unbind();
  void take_gradients();
  void take_gradient(Tensor& tensor);
  Work work_of(const std::vector<Touched>& touched);
  void set_values(const py::list& values, const Options& options);
  void set_cohort(std::size_t cohort, py::handle values, const Options& options);
  static void set_average(Settings& settings, const Cohort& cohort, const Options& options);
  void set_second(std::size_t cohort);
  void take(const std::vector<Touched>& touched, const py::list& values, const Options& options,
            const py::object& values_at, const KnownArrays& known_grads);
  KnownArrays known_grads(const py::object& grads, const std::vector<Touched>& touched) const;
  template <class Stepped>
  void count_step(const Stepped& has_stepped);
  void skip(const std::vector<Touched>& touched, double norm, const Options& options);
  const Tensor* not_finite(const std::vector<Touched>& touched);
  Interrupt write_second(const std::vector<Tensor*>& tensors, int num_threads);

  // Tensors that take no step, but whose weights are averaged.
  struct Rest {
    Work work;
    std::vector<Settings> settings;  // of each cohort
    void run(const Options& options);
  };
  template <class Rests>
  std::optional<Rest> rest_of(const Options& options, const Rests& rests) const;
  void begin(Tensor& tensor, const Options& options) const;
  void begin_average(Tensor& tensor, const Options& options) const;
  void part_cohorts(const Choice& is_chosen);
  void move_to(Tensor& tensor, std::size_t cohort);
  bool take_held();
  void step_taken(const py::list& values, const Options& options);
  bool read_counts();
  void arrange();
  void place_chunks();
  Exchange exchanger() const;
  void see_active();

  const std::size_t rule_at_index;
  const bool carries, takes_narrow;  // gradients
  std::vector<Cohort> cohorts;
  std::vector<Settings> settings;  // of each
  double slots = 0;                // of a ring
  std::deque<Tensor> tensors;
  std::vector<Buffer> written;  // all arrays but the gradients, in the order of their addresses
  const char *free_begin = nullptr, *free_end = nullptr;  // between two of them, where the last gradient lay
  py::object skeleton = py::none(), exchange = py::none();
  std::size_t chunks_of_all = 0;  // of the whole tensors that are not frozen
  Nest params, state, bound_nest;
  KnownArrays arrays, bound_arrays;
  struct Gradient {
    char* begin;
    Storage storage;
  };
  std::vector<Gradient> accepted;  // of each span of the work
  bool has_narrow = false;         // whether a gradient was of 16 bits when all were taken last
  Work work;                       // the tensors that are not frozen
  std::optional<Second> second;
  std::vector<Held> held;  // of each tensor, if any
  std::vector<py::object> idle;
  std::vector<Touched> taken;  // of the step to come
  py::object before_write = py::none();
};

// Of the gradients, unscaled.
double norm_of(Run& run, const Options& options);

}  // namespace fusedoptim
