// A plan whose arrays are the memory of torch's tensors, which are looked at before each step.
#include <algorithm>
#include <exception>
#include <stdexcept>

#include "no_gil.hpp"
#include "plan.hpp"
#include "tensors.hpp"

namespace fusedoptim {

namespace {

bool lies_as(const TensorMemory& memory, const std::vector<std::int64_t>& axes) {
  return std::size_t(memory.n_axes) * 2 == axes.size() &&
         std::equal(memory.shape, memory.shape + memory.n_axes, axes.begin()) &&
         std::equal(memory.strides, memory.strides + memory.n_axes, axes.begin() + memory.n_axes);
}

py::object grad_of(py::handle param) {
  static PyObject* const name = PyUnicode_InternFromString("grad");
  auto grad = py::reinterpret_steal<py::object>(PyObject_GetAttr(param.ptr(), name));
  if (!grad) throw py::error_already_set();
  return grad;
}

}  // namespace

void Plan::hold(const std::vector<Holding>& given, const std::vector<py::object>& idle,
                const py::object& before_write) {
  if (given.size() != tensors.size()) throw std::invalid_argument("as many parameters as tensors");
  std::vector<Held> all;
  for (const auto& [param, count] : given) {
    Held each = {param, {}, reinterpret_cast<float*>(count)};
    TensorMemory memory;
    const Buffer& w = tensors[all.size()].w;
    if (!look_at(param, memory) || (w.n > 0 && memory.begin != w.begin))
      throw std::invalid_argument("the array of a weight must be the memory of its parameter");
    each.axes.assign(memory.shape, memory.shape + memory.n_axes);
    each.axes.insert(each.axes.end(), memory.strides, memory.strides + memory.n_axes);
    all.push_back(std::move(each));
  }
  held = std::move(all), this->idle = idle, this->before_write = before_write;
}

// Whether parameters and states are where they were, and all gradients lie as their parameters do; then they are the
// gradients of the next step. Code of the caller's may run here, in an attribute: before any check.
bool Plan::take_held() {
  if (!state.is_same()) return false;
  for (const py::object& param : idle)
    if (!grad_of(param).is_none()) return false;
  for (std::size_t i = 0; i < held.size(); ++i) {
    const Held& each = held[i];
    Tensor& tensor = tensors[i];
    const py::object grad = grad_of(each.param);
    TensorMemory w, g;
    if (grad.is_none() || !look_at(each.param, w) || !look_at(grad, g)) return false;
    const bool is_there = w.begin == tensor.w.begin || tensor.w.n == 0;
    const bool is_weight = is_there && w.dtype == tensor.w.dtype && w.storage == tensor.w.storage;
    if (!is_weight || !lies_as(w, each.axes) || !lies_as(g, each.axes)) return false;
    const bool is_narrow = g.storage != Storage::native;
    if (g.dtype != w.dtype || (is_narrow && !takes_narrow) || (!is_narrow && w.storage != Storage::native))
      return false;
    if (g.begin == nullptr && tensor.w.n > 0) return false;
    if (span_of(tensor).arrays[1] != g.begin && tensor.w.n > 0)
      refuse_overlap({{"grads", tensor.w.name.path}, grad, g.begin, tensor.w.n, g.dtype, g.storage});
    accepted[tensor.place] = {g.begin, g.storage};
  }
  return true;
}

// The steps of each cohort, as its tensors count them; false where they do not agree.
bool Plan::read_counts() {
  if (held.empty()) return true;  // it counts by itself
  for (Cohort& cohort : cohorts) cohort.steps = -1;
  for (std::size_t i = 0; i < held.size(); ++i) {
    Cohort& cohort = cohorts[tensors[i].cohort];
    const auto steps = static_cast<long long>(*held[i].count);
    if (cohort.steps >= 0 && cohort.steps != steps) return false;
    cohort.steps = cohort.averages = steps;
  }
  return true;
}

bool Plan::take_tensors(const py::object& grads, const py::list& values, const std::vector<bool>& ascends,
                        const Options& options) {
  if (!read_counts() || (grads.is_none() && !take_held())) return false;
  set_values(values, options);
  for (std::size_t k = 0; k < cohorts.size(); ++k)
    if (ascends.at(cohorts[k].group)) settings[k].scale = -settings[k].scale;
  taken = touched_by(grads);
  grads.is_none() ? take_gradients() : accept_grads(grads, taken, false);
  return true;
}

double Plan::norm_of_tensors(const Options& options) {
  Work expanded = taken.empty() ? Work() : work_of(taken);
  const NoGil no_gil;
  Run run(taken.empty() ? work : expanded, rule(), options.num_threads, true);
  return norm_of(run, options);
}

void Plan::step_tensors(const py::list& values, const Options& options) {
  before_write();
  step_taken(values, options);
}

void Plan::step_all(const std::vector<std::pair<Plan*, py::list>>& steps, const Options& options) {
  for (const auto& [plan, values] : steps) plan->before_write();
  std::exception_ptr raised;
  for (const auto& [plan, values] : steps) try {
      plan->step_taken(values, options);
    } catch (...) {
      if (!raised) raised = std::current_exception();
    }
  if (raised) std::rethrow_exception(raised);
}

void Plan::step_taken(const py::list& values, const Options& options) {
  const long long t = counters.t;
  const auto count = [&] {
    for (Held& each : held) *each.count += float(counters.t - t);
  };
  try {
    take(taken, values, options, py::none(), {});
  } catch (...) {  // an interrupt comes at the end of a step
    count();
    throw;
  }
  count();
}

}  // namespace fusedoptim
