#include "plan.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "no_gil.hpp"

namespace fusedoptim {

namespace {

// Sorts buffers by their addresses, drops empty ones, and refuses any two that overlap.
void sort_apart(std::vector<Buffer>& buffers) {
  buffers.erase(std::remove_if(buffers.begin(), buffers.end(), [](const Buffer& b) { return b.n == 0; }),
                buffers.end());
  std::sort(buffers.begin(), buffers.end(), [](const Buffer& a, const Buffer& b) { return a.begin < b.begin; });
  for (std::size_t i = 1; i < buffers.size(); ++i)
    if (buffers[i].begin < buffers[i - 1].end()) refuse("overlap", buffers[i].name.str(), buffers[i - 1].name.str());
}

// A module that is imported anew has another.
std::vector<PyTypeObject*>& row_grad_types() {
  static auto& types = *new std::vector<PyTypeObject*>;
  return types;
}

bool is_row_grad(py::handle grad) {
  const auto& types = row_grad_types();
  return std::any_of(types.begin(), types.end(),
                     [&](PyTypeObject* type) { return PyObject_TypeCheck(grad.ptr(), type); });
}

bool is_t(const Hyper& hyper) { return hyper.domain == Domain::step || hyper.domain == Domain::count; }

// What a group passes: the hyper-parameters that are not counted from the arrays, and the L2 penalty.
std::size_t n_values(const Rule& rule) {
  std::size_t n = 1;
  for (int k = 0; k < rule.n_hyper; ++k) n += rule.signature->hyper[k].domain != Domain::slots;
  return n;
}

std::size_t item_of(int dtype) { return dtype == 0 ? sizeof(float) : sizeof(double); }

template <class T>
bool all_finite(const void* x, const void* sum, std::size_t n) {
  const auto *each = static_cast<const T*>(x), *before = static_cast<const T*>(sum);
  for (std::size_t i = 0; i < n; ++i)
    if (!std::isfinite(before == nullptr ? each[i] : each[i] + before[i])) return false;
  return true;
}

}  // namespace

void add_row_grad_type(const py::type& type) {
  row_grad_types().push_back(reinterpret_cast<PyTypeObject*>(py::type(type).release().ptr()));
}

void Plan::add(std::size_t group, const std::string& path, const std::vector<py::object>& arrays,
               const py::object& grad_sum, const py::object& ema) {
  tensors.push_back({path, arrays, {}, group, {}, {}});
  Tensor& tensor = tensors.back();
  const Buffer w = tensor.w = buffer({"params", tensor.path.c_str()}, arrays[0], Access::write);
  written.push_back(w);
  tensor.axes = axes_of(w);
  Span& span = tensor.span = fusedoptim::span_of(w);
  span.settings = &settings.at(group), span.axes = tensor.axes.data(), span.n_axes = tensor.axes.size();
  const auto accept = [&](const State& state, const py::object& array) {
    const Buffer b = buffer({state.name, tensor.path.c_str()}, array, Access::write, &w, state.shape);
    if (state.shape == Shape::ring) slots = double(py::len(array));
    written.push_back(b);
    return b.begin;
  };
  std::size_t k = 1;
  for (const State* state = rule().signature->state; state->name != nullptr; ++state, ++k) {
    if (state->shape == Shape::scratch)
      tensor.arrays.insert(tensor.arrays.begin() + std::ptrdiff_t(k),
                           py::module_::import("numpy").attr("empty_like")(arrays[0]));
    span.arrays[1 + k] = accept(*state, tensor.arrays.at(k));
  }
  if (!grad_sum.is_none()) span.grad_sum = accept({"grad_sum"}, grad_sum);
  if (!ema.is_none()) span.ema = accept({"ema"}, ema);
  tensor.arrays.push_back(grad_sum);
  tensor.arrays.push_back(ema);
}

void Plan::finish() {
  sort_apart(written);
  for (int dtype = 0; dtype < n_dtypes; ++dtype)
    for (Tensor& tensor : tensors)
      if (tensor.w.dtype == dtype) tensor.place = work.spans.size(), work.add(tensor.span);
}

void Plan::divide(const std::string& rule, const py::function& direction) {
  second = Second{rule_index(rule), direction, std::vector<Settings>(settings.size())};
}

void Plan::refuse_overlap(const Buffer& g) {
  // Sorted and apart from each other, so their ends are sorted too.
  const auto first = std::upper_bound(written.begin(), written.end(), g.begin,
                                      [](const char* begin, const Buffer& b) { return begin < b.end(); });
  if (first != written.end() && first->begin < g.end()) refuse("overlap", g.name.str(), first->name.str());
}

// A gradient that is set to zero must not be one that is still to be read.
void Plan::refuse_shared() {
  std::vector<Buffer> grads;
  for (const Tensor& tensor : tensors) {
    grads.push_back(tensor.w);
    grads.back().name.argument = "grads";
    grads.back().begin = static_cast<char*>(span_of(tensor).arrays[1]);
  }
  sort_apart(grads);
}

void Plan::accept_array(Tensor& tensor, py::handle grad, bool zeroed) {
  const Buffer& w = tensor.w;
  if (tensor.axes.empty() && !zeroed)  // a mean, say, of which NumPy makes a number
    if (const py::object number = array_of_number(grad, w)) grad = tensor.number = number;
  const Buffer g = buffer({"grads", w.name.path}, grad, zeroed ? Access::write : Access::read, &w);
  void*& known = span_of(tensor).arrays[1];
  if (known != g.begin && g.n > 0) refuse_overlap(g);  // an address that was taken before has been checked
  known = g.begin;
}

Plan::Touched Plan::accept_rows(const Tensor& tensor, py::handle grad, bool zeroed) {
  const Span& span = span_of(tensor);
  const std::string path = tensor.w.name.path, rows_path = path + ".rows", values_path = path + ".values";
  const auto refuse_with = [&](bool given, const char* what) {
    if (given) refuse("row_grad_with", "grads" + path, what);
  };
  if (!can_leave_out_rows(rule())) refuse("needs_all_rows", "grads" + path, rule().signature->name);
  refuse_with(zeroed, "zero_grads or bind()");
  refuse_with(span.grad_sum != nullptr, "accumulate");
  refuse_with(span.ema != nullptr, "ema");
  refuse_with(span.settings->l2 != 0, "the L2 penalty weight_decay");
  const py::object rows = grad.attr("rows"), values = grad.attr("values");
  const Buffer g = buffer({"grads", values_path.c_str()}, values, Access::read);
  const RowGrad checked = row_grad({"grads", rows_path.c_str()}, rows, g, tensor.w);
  if (g.n > 0) refuse_overlap(g);
  return {&tensor, rows, values, checked};
}

void Plan::accept_grad(Tensor& tensor, py::handle grad, bool zeroed, std::vector<Touched>& touched) {
  const Buffer now = buffer(tensor.w.name, tensor.w.array, Access::write);
  if (now.begin != tensor.w.begin || now.n != tensor.w.n) refuse("moved", tensor.w.name.str());
  if (is_row_grad(grad))
    touched.push_back(accept_rows(tensor, grad, zeroed));
  else
    accept_array(tensor, grad, zeroed);
}

std::vector<Plan::Touched> Plan::accept_grads(const py::object& grads, bool zeroed) {
  std::vector<Touched> touched;
  if (grads.is_none()) {
    if (bound.is_none()) refuse("not_bound");
    return touched;
  }
  if (py::len(grads) != tensors.size()) throw std::invalid_argument("as many gradients as tensors");
  bound = py::none();
  std::size_t i = 0;
  for (Tensor& tensor : tensors) accept_grad(tensor, PyList_GET_ITEM(grads.ptr(), Py_ssize_t(i++)), zeroed, touched);
  if (zeroed) refuse_shared();
  return touched;
}

// Of some tensors the rows that are touched, of the others all.
Work Plan::work_of(const std::vector<Touched>& touched) {
  Work expanded;
  for (int dtype = 0; dtype < n_dtypes; ++dtype) {
    auto next = touched.begin();  // in the order of the tensors
    for (const Tensor& tensor : tensors) {
      const bool is_next = next != touched.end() && next->tensor == &tensor;
      if (tensor.w.dtype == dtype && is_next) add_rows(expanded, span_of(tensor), rule(), next->grad);
      if (tensor.w.dtype == dtype && !is_next) expanded.add(span_of(tensor));
      next += is_next;
    }
  }
  return expanded;
}

void Plan::bind(const py::list& grads) {
  accept_grads(grads, true);
  bound = grads;
}

void Plan::set_values(const py::list& values, const Options& options) {
  if (values.size() != settings.size()) throw std::invalid_argument("as many values as groups");
  for (std::size_t group = 0; group < settings.size(); ++group)
    set_group(group, PyList_GET_ITEM(values.ptr(), Py_ssize_t(group)), options);
}

void Plan::set_group(std::size_t group, py::handle values, const Options& options) {
  const Rule& rule = this->rule();
  const auto of_group = py::reinterpret_borrow<py::list>(values);
  const std::size_t n = n_values(rule);
  if (of_group.size() != n) throw std::invalid_argument("as many values as hyper-parameters, and one");
  Settings next;
  int k = 0;
  for (; k < int(n) - 1; ++k) {
    const Hyper& hyper = rule.signature->hyper[k];
    const py::handle value = PyList_GET_ITEM(of_group.ptr(), k);
    next.hyper[k] = is_t(hyper) && value.is_none() ? double(counters.t + 1) : hyper_value(hyper, value);
  }
  next.l2 = hyper_value(l2_penalty, PyList_GET_ITEM(of_group.ptr(), k));
  if (k < rule.n_hyper) next.hyper[k] = slots;
  next.scale = (options.maximize ? -1 : 1) / options.grad_scale;
  next.count = options.accumulate;
  next.clip_value = options.clip_value;
  next.ema_decay = options.ema;
  next.zero_grads = options.zero_grads;
  settings[group] = next;
}

void Plan::step(const py::object& grads, const py::list& values, const Options& options, const py::object& values_at) {
  set_values(values, options);
  const std::vector<Touched> touched = accept_grads(grads, options.zero_grads);
  Work expanded = touched.empty() ? Work() : work_of(touched);
  const bool asks_norm = options.require_finite || options.clip_norm < std::numeric_limits<double>::infinity();
  const bool needs_norm = asks_norm || !values_at.is_none();
  double norm = 0, clip = 1;
  {
    const NoGil no_gil;
    Run run(touched.empty() ? work : expanded, rule(), options.num_threads, needs_norm);
    if (needs_norm) norm = std::sqrt(run.square_sum()) / std::fabs(options.grad_scale);
    if (options.require_finite && !std::isfinite(norm)) {
      const py::gil_scoped_acquire acquire;
      return skip(touched, norm, options);
    }
    if (!values_at.is_none()) {
      const py::gil_scoped_acquire acquire;
      set_values(values_at(norm, values), options);
    }
    if (norm > options.clip_norm) clip = options.clip_norm / norm;
    run.update(clip);
  }
  Interrupt interrupt;
  if (second) {
    std::vector<Tensor*> all;
    for (Tensor& tensor : tensors) all.push_back(&tensor);
    interrupt = write_second(all, options.num_threads);
  }
  ++counters.t;
  counters.accumulated = 0;
  if (asks_norm) counters.norm = norm;
  if (interrupt) throw *interrupt;
}

// The first gradient that is not finite, with what was summed before it; null where only the norm is not.
const Plan::Tensor* Plan::not_finite(const std::vector<Touched>& touched) {
  auto next = touched.begin();
  for (const Tensor& tensor : tensors) {
    const Span& span = span_of(tensor);
    const void* g = span.arrays[1];
    std::size_t n = span.n;
    if (next != touched.end() && next->tensor == &tensor) g = next->grad.values, n = next++->grad.at.n * span.row;
    if (!(span.dtype == 0 ? all_finite<float>(g, span.grad_sum, n) : all_finite<double>(g, span.grad_sum, n)))
      return &tensor;
  }
  return nullptr;
}

// The step that is not taken: drops the sums of gradients, counts, and tells if it should.
void Plan::skip(const std::vector<Touched>& touched, double norm, const Options& options) {
  const Tensor* bad = options.raise_nonfinite ? not_finite(touched) : nullptr;
  for (const Span& span : work.spans) {
    const std::size_t bytes = span.n * item_of(span.dtype);
    if (span.grad_sum != nullptr) std::memset(span.grad_sum, 0, bytes);
    if (options.zero_grads && !options.raise_nonfinite) std::memset(span.arrays[1], 0, bytes);
  }
  ++counters.skipped;
  counters.accumulated = 0;
  counters.norm = norm;
  if (options.raise_nonfinite) refuse("not_finite", bad == nullptr ? "" : "grads" + bad->path, norm);
}

void Plan::step_one(std::size_t i, const py::object& grad, const py::list& values, const Options& options) {
  Tensor& tensor = tensors.at(i);
  if (tensor.updated) refuse("updated_already", "params" + tensor.path);
  bound = py::none();
  set_group(tensor.group, values, options);
  std::vector<Touched> touched;
  accept_grad(tensor, grad, options.zero_grads, touched);
  Work one;
  if (touched.empty())
    one.add(span_of(tensor));
  else
    add_rows(one, span_of(tensor), rule(), touched[0].grad);
  {
    const NoGil no_gil;
    Run(one, rule(), options.num_threads).update();
  }
  const Interrupt interrupt = second ? write_second({&tensor}, options.num_threads) : std::nullopt;
  tensor.updated = true;
  if (interrupt) throw *interrupt;
}

void Plan::end_block() {
  bool any = false;
  for (Tensor& tensor : tensors) any |= tensor.updated, tensor.updated = false;
  counters.t += any;
}

void Plan::accumulate(const py::object& grads, const Options& options) {
  accept_grads(grads, options.zero_grads);
  Settings settings;
  settings.zero_grads = options.zero_grads;
  Work sums;
  for (const Span& span : work.spans) sums.add({{span.grad_sum, span.arrays[1]}, span.n, span.dtype, &settings});
  {
    const NoGil no_gil;
    Run(sums, rule_at(rule_index("accumulate")), options.num_threads).update();
  }
  ++counters.accumulated;
}

// The settings of the second rule: hyper-parameters of the first, and of what surrounds a rule the average alone.
void Plan::set_second(std::size_t group) {
  const Hyper *ours = rule().signature->hyper, *theirs = rule_at(second->rule).signature->hyper;
  const Settings& first = settings[group];
  for (int k = 0; theirs[k].name != nullptr; ++k)
    for (int i = 0; ours[i].name != nullptr; ++i)
      if (std::strcmp(theirs[k].name, ours[i].name) == 0) second->settings[group].hyper[k] = first.hyper[i];
  second->settings[group].ema_decay = first.ema_decay;
}

// The states have changed by now, so the step must be ended: an interrupt that comes is raised afterwards.
Plan::Interrupt Plan::write_second(const std::vector<Tensor*>& tensors, int num_threads) {
  Interrupt interrupt;
  std::vector<py::object> directions;
  Work writes;
  for (const Tensor* tensor : tensors) set_second(tensor->group);
  const auto n_states = std::size_t(rule().n_state);
  for (int dtype = 0; dtype < n_dtypes; ++dtype)
    for (Tensor* tensor : tensors) {
      if (tensor->w.dtype != dtype) continue;
      py::tuple states(n_states);
      for (std::size_t k = 0; k < n_states; ++k) states[k] = tensor->arrays[1 + k];
      try {
        directions.push_back(second->direction(*states));
      } catch (py::error_already_set& error) {
        if (interrupt) throw;
        interrupt.emplace(error);
        directions.push_back(second->direction(*states));
      }
      Span span = span_of(*tensor);
      span.arrays[1] = buffer({"direction"}, directions.back(), Access::read, &tensor->w).begin;
      span.settings = &second->settings[tensor->group];
      span.grad_sum = nullptr;
      writes.add(span);
    }
  {
    const NoGil no_gil;
    Run(writes, rule_at(second->rule), num_threads).update();
  }
  return interrupt;
}

}  // namespace fusedoptim
