#include "plan.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <utility>

#include "elementary.hpp"
#include "flush.hpp"
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
  PyTypeObject* const own = Py_TYPE(grad.ptr());
  return own != py::detail::npy_api::get().PyArray_Type_ &&
         std::any_of(types.begin(), types.end(), [&](PyTypeObject* type) { return PyType_IsSubtype(own, type); });
}

bool is_t(const Hyper& hyper) { return hyper.domain == Domain::step || hyper.domain == Domain::count; }

// What a group passes: the hyper-parameters that are not counted from the arrays, and the L2 penalty.
std::size_t n_values(const Rule& rule) {
  std::size_t n = 1;
  for (int k = 0; k < rule.n_hyper; ++k) n += rule.signature->hyper[k].domain != Domain::slots;
  return n;
}

std::size_t item_of(int dtype) { return dtype == 0 ? sizeof(float) : sizeof(double); }

std::vector<Cohort> cohorts_of(const std::vector<std::tuple<std::size_t, long long, long long>>& given) {
  std::vector<Cohort> cohorts;
  for (const auto& [group, steps, averages] : given) cohorts.push_back({group, steps, averages, cohorts.size()});
  return cohorts;
}

// Rounded as within the loops, whatever mode the host has set.
double norm_of(Run& run, const Options& options) {
  const FlushSubnormals nearest;
  return std::sqrt(run.square_sum()) / std::fabs(options.grad_scale);
}

void copy_weight(const Buffer& w, void* state) { std::memcpy(state, w.begin, w.n * w.item()); }

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

Plan::Plan(const std::string& rule, const std::vector<std::tuple<std::size_t, long long, long long>>& given,
           bool carries)
    : rule_at_index(rule_index(rule)), carries(carries), cohorts(cohorts_of(given)), settings(given.size()) {}

void Plan::add(std::size_t cohort, bool frozen, const std::string& path, const std::vector<py::object>& given,
               const py::object& grad_sum, const py::object& ema) {
  if (cohort >= cohorts.size()) throw std::invalid_argument("no such cohort");
  tensors.emplace_back();
  Tensor& tensor = tensors.back();
  tensor.index = tensors.size() - 1, tensor.cohort = cohort, tensor.frozen = frozen, tensor.path = path;
  tensor.arrays = given, tensor.known = arrays.size();
  const Buffer w = tensor.w = buffer({"params", tensor.path.c_str()}, given[0], frozen ? Access::read : Access::write);
  tensor.axes = axes_of(w);
  Span& span = tensor.span = fusedoptim::span_of(w);
  span.axes = tensor.axes.data(), span.n_axes = tensor.axes.size();
  const auto accept = [&](const Buffer& b) {
    written.push_back(b);
    arrays.add(b);
    return b.begin;
  };
  const auto accept_state = [&](const State& state, const py::object& array) {
    if (state.shape == Shape::ring) slots = double(py::len(array));
    return accept(buffer({state.name, tensor.path.c_str()}, array, Access::write, &w, state.shape));
  };
  accept(w);
  std::size_t k = 1;
  for (const State* state = rule().signature->state; state->name != nullptr; ++state, ++k) {
    if (state->shape == Shape::scratch)
      tensor.arrays.insert(tensor.arrays.begin() + std::ptrdiff_t(k),
                           py::module_::import("numpy").attr("empty_like")(given[0]));
    if (state->begins_with_weight) tensor.copies.push_back(1 + k);
    span.arrays[1 + k] = accept_state(*state, tensor.arrays.at(k));
  }
  if (!grad_sum.is_none()) span.grad_sum = accept_state({"grad_sum"}, grad_sum);
  if (!ema.is_none()) span.ema = accept_state({"ema"}, ema);
  tensor.arrays.push_back(grad_sum);
  tensor.arrays.push_back(ema);
  tensor.n_known = arrays.size() - tensor.known;
}

void Plan::finish() {
  sort_apart(written);
  // A cohort can fall apart into one for each tensor; memory for them is taken here, where nothing has changed yet.
  cohorts.reserve(cohorts.size() + tensors.size());
  settings.reserve(cohorts.size() + tensors.size());
  arrange();
}

// The work of the tensors that are not frozen.
void Plan::arrange() {
  Work arranged;
  std::vector<std::size_t> places(tensors.size());
  for (int dtype = 0; dtype < n_dtypes; ++dtype)
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      Tensor& tensor = tensors[i];
      if (tensor.frozen || tensor.w.dtype != dtype) continue;
      places[i] = arranged.spans.size();
      tensor.span.settings = &settings[tensor.cohort];
      arranged.add(tensor.span);
    }
  accepted.resize(arranged.spans.size());
  for (Tensor& tensor : tensors) {
    tensor.place = places[tensor.index];
    arrays.set_access(tensor.known, tensor.frozen ? Access::read : Access::write);
  }
  work = std::move(arranged);
  see_active();
}

// Makes each cohort one of which all tensors are chosen, or none: those that are go into one of their own.
template <class Chosen>
void Plan::part_cohorts(const Chosen& is_chosen) {
  for (Cohort& cohort : cohorts) cohort.all = cohort.chosen = 0;
  for (const Tensor& tensor : tensors) ++cohorts[tensor.cohort].all, cohorts[tensor.cohort].chosen += is_chosen(tensor);
  for (std::size_t k = 0, n = cohorts.size(); k < n; ++k) {
    const bool parts = cohorts[k].chosen > 0 && cohorts[k].chosen < cohorts[k].all;
    cohorts[k].goes_to = parts ? cohorts.size() : k;
    if (!parts) continue;
    cohorts.push_back(cohorts[k]);
    cohorts.back().origin = k;
    settings.push_back(settings[k]);
    if (second) second->settings.push_back(second->settings[k]);
  }
  for (Tensor& tensor : tensors)
    if (is_chosen(tensor)) move_to(tensor, cohorts[tensor.cohort].goes_to);
}

void Plan::move_to(Tensor& tensor, std::size_t cohort) {
  tensor.cohort = cohort;
  tensor.span.settings = &settings[cohort];
  if (!tensor.frozen) span_of(tensor).settings = &settings[cohort];
}

void Plan::freeze(const std::vector<std::size_t>& chosen, bool frozen) {
  std::vector<bool> changes(tensors.size());
  for (const std::size_t i : chosen) changes.at(i) = tensors[i].frozen != frozen;
  if (!frozen)
    for (const std::size_t i : chosen) check_writeable(tensors.at(i));
  const auto is_changed = [&](const Tensor& tensor) { return changes[tensor.index]; };
  const auto flip = [&] {
    for (Tensor& tensor : tensors) tensor.frozen ^= is_changed(tensor);
  };
  part_cohorts(is_changed);
  flip();
  try {
    arrange();
  } catch (const std::bad_alloc&) {
    flip();
    throw;
  }
  unbind();
}

void Plan::divide(const std::string& rule, const py::function& direction) {
  second = Second{rule_index(rule), direction, std::vector<Settings>(settings.size())};
  second->settings.reserve(settings.capacity());
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
    if (tensor.frozen) continue;
    grads.push_back(tensor.w);
    grads.back().name.argument = "grads";
    grads.back().begin = accepted[tensor.place];
  }
  sort_apart(grads);
}

void Plan::accept_array(Tensor& tensor, py::handle grad, bool zeroed) {
  const Buffer& w = tensor.w;
  if (tensor.axes.empty()) {  // a mean, say, of which NumPy makes a number
    tensor.number = zeroed ? py::object() : array_of_number(grad, w);
    if (tensor.number) grad = tensor.number;
  }
  const Buffer g = buffer({"grads", w.name.path}, grad, zeroed ? Access::write : Access::read, &w);
  // An address that was taken before has been checked.
  if (span_of(tensor).arrays[1] != g.begin && g.n > 0) refuse_overlap(g);
  accepted[tensor.place] = g.begin;
}

void Plan::accept_rows(Touched& touched, bool zeroed) {
  const Tensor& tensor = *touched.tensor;
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
  const Buffer g = buffer({"grads", values_path.c_str()}, touched.values, Access::read);
  touched.grad = row_grad({"grads", rows_path.c_str()}, touched.rows, g, tensor.w);
  if (g.n > 0) refuse_overlap(g);
}

// The gradient of each tensor, also of the frozen ones, at which nobody looks; None stays.
py::object Plan::leaves_of(const py::object& grads) const {
  if (grads.is_none()) return grads;
  if (py::object leaves = plain_leaves(skeleton, grads, tensors.size())) return leaves;
  return py::module_::import("fusedoptim.core.tree").attr("leaves")(skeleton, grads, "grads");
}

// The gradients that are of some rows, in the order of the tensors. Code of the caller's may run here: before any
// check.
std::vector<Plan::Touched> Plan::touched_by(const py::object& grads) const {
  std::vector<Touched> touched;
  if (grads.is_none()) return touched;
  if (py::len(grads) != tensors.size()) throw std::invalid_argument("as many gradients as tensors");
  for (std::size_t i = 0; i < tensors.size(); ++i)
    if (const py::handle grad = PyList_GET_ITEM(grads.ptr(), Py_ssize_t(i)); is_row_grad(grad) && !tensors[i].frozen)
      touched.push_back({&tensors[i], grad.attr("rows"), grad.attr("values"), {}});
  return touched;
}

// Checks everything before it takes anything. Nests may run code of their classes, so arrays come after all of them.
void Plan::accept_grads(const py::object& grads, std::vector<Touched>& touched, bool zeroed) {
  if (grads.is_none()) check_bound_nest();
  check();
  if (grads.is_none()) return bound_arrays.check();
  auto next = touched.begin();
  Py_ssize_t i = 0;
  for (Tensor& tensor : tensors) {
    const py::handle grad = PyList_GET_ITEM(grads.ptr(), i++);
    if (tensor.frozen) continue;
    if (next != touched.end() && next->tensor == &tensor)
      accept_rows(*next++, zeroed);
    else
      accept_array(tensor, grad, zeroed);
  }
  if (zeroed) refuse_shared();
  for (std::size_t k = 0; k < accepted.size(); ++k) work.spans[k].arrays[1] = accepted[k];
  unbind();
}

void Plan::unbind() {
  if (bound.is_none()) return;
  bound = py::none(), bound_nest = Nest(), bound_arrays = {};
}

void Plan::watch(const py::object& of_both, const py::list& of_params, const py::list& of_state) {
  skeleton = of_both;
  params = Nest(of_params), state = Nest(of_state);
}

int Plan::traverse(visitproc visit, void* arg) const {
  Py_VISIT(bound.ptr());
  Py_VISIT(skeleton.ptr());
  for (const Nest* nest : {&params, &state, &bound_nest})
    if (const int found = nest->traverse(visit, arg)) return found;
  return 0;
}

void Plan::check() const {
  params.check();
  state.check();
  arrays.check();
}

void Plan::check(const Tensor& tensor) const { arrays.check(tensor.known, tensor.known + tensor.n_known); }

// A frozen weight may be read-only.
void Plan::check_writeable(const Tensor& tensor) { buffer(tensor.w.name, tensor.w.array, Access::write); }

void Plan::check_bound_nest() const {
  if (bound.is_none()) refuse("not_bound");
  bound_nest.check();
}

// Of some tensors the rows that are touched, of the others all.
Work Plan::work_of(const std::vector<Touched>& touched) {
  Work expanded;
  for (int dtype = 0; dtype < n_dtypes; ++dtype) {
    auto next = touched.begin();
    for (const Tensor& tensor : tensors) {
      if (tensor.frozen) continue;
      const bool is_next = next != touched.end() && next->tensor == &tensor;
      if (tensor.w.dtype == dtype && is_next) add_rows(expanded, span_of(tensor), rule(), next->grad);
      if (tensor.w.dtype == dtype && !is_next) expanded.add(span_of(tensor));
      next += is_next;
    }
  }
  return expanded;
}

void Plan::bind(const py::object& given, const py::list& containers) {
  const py::object grads = leaves_of(given);
  const Nest nest(containers);
  std::vector<Touched> touched = touched_by(grads);
  accept_grads(grads, touched, true);
  bound_arrays = known_grads(grads, touched);
  bound_nest = nest;
  bound = grads;
}

std::vector<std::tuple<std::size_t, long long, long long, std::size_t>> Plan::known_cohorts() const {
  std::vector<std::tuple<std::size_t, long long, long long, std::size_t>> known;
  for (const Cohort& cohort : cohorts) known.emplace_back(cohort.group, cohort.steps, cohort.averages, cohort.origin);
  return known;
}

void Plan::set_counts(const std::vector<std::tuple<std::size_t, long long, long long>>& given,
                      const std::vector<std::size_t>& members) {
  if (members.size() != tensors.size()) throw std::invalid_argument("a cohort for each tensor");
  std::vector<Cohort> others = cohorts_of(given);
  std::vector<Settings> of_others(others.size()), of_second(others.size());
  others.reserve(others.size() + tensors.size());
  of_others.reserve(others.capacity()), of_second.reserve(others.capacity());
  cohorts.swap(others), settings.swap(of_others);
  if (second) second->settings.swap(of_second);
  for (Tensor& tensor : tensors) move_to(tensor, members[tensor.index]);
  part_cohorts([](const Tensor& tensor) { return tensor.frozen; });
  see_active();
}

void Plan::see_active() {
  for (Cohort& cohort : cohorts) cohort.is_active = false;
  for (const Tensor& tensor : tensors) cohorts[tensor.cohort].is_active |= !tensor.frozen;
}

std::vector<std::pair<std::size_t, bool>> Plan::members() const {
  std::vector<std::pair<std::size_t, bool>> known;
  for (const Tensor& tensor : tensors) known.emplace_back(tensor.cohort, tensor.frozen);
  return known;
}

void Plan::set_values(const py::list& values, const Options& options) {
  for (std::size_t k = 0; k < cohorts.size(); ++k) {
    const std::size_t at = carries ? k : cohorts[k].group;
    if (at >= values.size()) throw std::invalid_argument("as many values as groups or cohorts");
    set_cohort(k, PyList_GET_ITEM(values.ptr(), Py_ssize_t(at)), options);
  }
}

void Plan::set_cohort(std::size_t cohort, py::handle values, const Options& options) {
  const Rule& rule = this->rule();
  const auto given = py::reinterpret_borrow<py::list>(values);
  const std::size_t n = n_values(rule);
  if (given.size() != n) throw std::invalid_argument("as many values as hyper-parameters, and one");
  Settings next;
  int k = 0;
  for (; k < int(n) - 1; ++k) {
    const Hyper& hyper = rule.signature->hyper[k];
    const py::handle value = PyList_GET_ITEM(given.ptr(), k);
    next.hyper[k] = is_t(hyper) && value.is_none() ? double(cohorts[cohort].steps + 1) : hyper_value(hyper, value);
  }
  next.l2 = hyper_value(l2_penalty, PyList_GET_ITEM(given.ptr(), k));
  if (k < rule.n_hyper) next.hyper[k] = slots;
  next.scale = (options.maximize ? -1 : 1) / options.grad_scale;
  next.count = options.accumulate;
  next.clip_value = options.clip_value;
  next.zero_grads = options.zero_grads;
  set_average(next, cohorts[cohort], options);
  settings[cohort] = next;
}

void Plan::set_average(Settings& settings, const Cohort& cohort, const Options& options) {
  const double forgotten = options.corrects_ema ? power(options.ema, double(cohort.averages + 1)) : 0;
  settings.ema_weight = (1 - options.ema) / (1 - forgotten);
}

void Plan::step(const py::object& given, const py::list& values, const Options& options, const py::object& values_at) {
  const py::object grads = leaves_of(given);
  set_values(values, options);
  std::vector<Touched> touched = touched_by(grads);
  accept_grads(grads, touched, options.zero_grads);
  take(touched, values, options, values_at, values_at.is_none() ? KnownArrays() : known_grads(grads, touched));
}

// What the gradients are now, for a step that calls the caller's code in its middle.
KnownArrays Plan::known_grads(const py::object& grads, const std::vector<Touched>& touched) const {
  if (grads.is_none()) return bound_arrays;
  KnownArrays known;
  auto next = touched.begin();
  for (const Tensor& tensor : tensors) {
    if (tensor.frozen) continue;
    const bool is_next = next != touched.end() && next->tensor == &tensor;
    py::handle array = PyList_GET_ITEM(grads.ptr(), Py_ssize_t(tensor.index));
    if (is_next) array = next->values;
    if (tensor.number) array = tensor.number;
    known.add({"grads", tensor.w.name.path}, array);
    if (is_next) known.add({"grads", tensor.w.name.path}, next++->rows);
  }
  return known;
}

// The sums with a last gradient of zero.
void Plan::flush(const py::list& values, Options options, const py::object& values_at) {
  options.accumulate = counters.accumulated;
  options.zero_grads = false;
  set_values(values, options);
  check();
  std::size_t longest = 1;
  for (const Span& span : work.spans) longest = std::max(longest, span.n * item_of(span.dtype));
  const std::unique_ptr<void, decltype(&std::free)> zeros(std::calloc(longest, 1), &std::free);
  if (zeros == nullptr) throw std::bad_alloc();
  std::vector<void*> grads;
  for (const Span& span : work.spans) grads.push_back(span.arrays[1]);
  const auto set_grads = [&](const auto& of) {
    for (std::size_t k = 0; k < grads.size(); ++k) work.spans[k].arrays[1] = of(k);
  };
  set_grads([&](std::size_t) { return zeros.get(); });
  try {
    take({}, values, options, values_at, {});
  } catch (...) {
    set_grads([&](std::size_t k) { return grads[k]; });
    throw;
  }
  set_grads([&](std::size_t k) { return grads[k]; });
}

void Plan::take(const std::vector<Touched>& touched, const py::list& values, const Options& options,
                const py::object& values_at, const KnownArrays& known_grads) {
  Work expanded = touched.empty() ? Work() : work_of(touched);
  const bool asks_norm = options.require_finite || options.measures_norm;
  const bool needs_norm = asks_norm || !values_at.is_none();
  double norm = 0, clip = 1;
  std::optional<Rest> rest = rest_of(options, [](const Tensor& tensor) { return tensor.frozen; });
  {
    const NoGil no_gil;
    Run run(touched.empty() ? work : expanded, rule(), options.num_threads, needs_norm);
    if (needs_norm) norm = norm_of(run, options);
    if (options.require_finite && !std::isfinite(norm)) {
      const py::gil_scoped_acquire acquire;
      return skip(touched, norm, options);
    }
    if (!values_at.is_none()) {
      const py::gil_scoped_acquire acquire;
      set_values(values_at(norm, values), options);
      check();
      known_grads.check();
    }
    if (norm > options.clip_norm) clip = options.clip_norm / norm;
    begin();
    run.update(clip);
    if (rest) rest->run(options);
  }
  Interrupt interrupt;
  if (second) {
    std::vector<Tensor*> all;
    for (Tensor& tensor : tensors)
      if (!tensor.frozen) all.push_back(&tensor);
    interrupt = write_second(all, options.num_threads);
  }
  count_step([](const Cohort& cohort) { return cohort.is_active; });
  counters.accumulated = 0;
  if (asks_norm) counters.norm = norm;
  if (interrupt) throw *interrupt;
}

// Of each cohort, all tensors have stepped or none.
template <class Stepped>
void Plan::count_step(const Stepped& has_stepped) {
  for (Cohort& cohort : cohorts) cohort.steps += has_stepped(cohort), ++cohort.averages;
  ++counters.t;
}

template <class Rests>
std::optional<Plan::Rest> Plan::rest_of(const Options& options, const Rests& rests) const {
  if (!options.keeps_ema || std::none_of(tensors.begin(), tensors.end(), rests)) return std::nullopt;
  std::optional<Rest> rest(std::in_place);
  rest->settings.resize(cohorts.size());
  for (std::size_t k = 0; k < cohorts.size(); ++k) set_average(rest->settings[k], cohorts[k], options);
  for (int dtype = 0; dtype < n_dtypes; ++dtype)
    for (const Tensor& tensor : tensors)
      if (tensor.w.dtype == dtype && rests(tensor)) {
        Span span = tensor.span;
        span.arrays[1] = span.arrays[0];  // is not read
        span.grad_sum = nullptr;
        span.settings = &rest->settings[tensor.cohort];
        rest->work.add(span);
      }
  return rest;
}

void Plan::Rest::run(const Options& options) {
  static const std::size_t index = rule_index("rest");
  Run(work, rule_at(index), options.num_threads).update();
}

void Plan::begin() {
  if (std::any_of(cohorts.begin(), cohorts.end(), [](const Cohort& c) { return c.steps == 0 || c.averages == 0; }))
    for (Tensor& tensor : tensors)
      if (!tensor.updated) begin(tensor);
}

void Plan::begin(Tensor& tensor) const {
  begin_average(tensor);
  if (cohorts[tensor.cohort].steps > 0) return;
  for (const std::size_t k : tensor.copies) copy_weight(tensor.w, tensor.span.arrays[k]);
}

void Plan::begin_average(Tensor& tensor) const {
  if (cohorts[tensor.cohort].averages == 0 && tensor.span.ema != nullptr) copy_weight(tensor.w, tensor.span.ema);
}

void Plan::set_t(long long t) {
  const long long more = t - counters.t;
  for (Cohort& cohort : cohorts) {
    cohort.steps = std::max(0LL, cohort.steps + more);
    cohort.averages = std::max(0LL, cohort.averages + more);
  }
  counters.t = t;
}

// The first gradient that is not finite, with what was summed before it; null where only the norm is not.
const Plan::Tensor* Plan::not_finite(const std::vector<Touched>& touched) {
  auto next = touched.begin();
  for (const Tensor& tensor : tensors) {
    if (tensor.frozen) continue;
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
  if (tensor.frozen) refuse("is_frozen", "params" + tensor.path);
  if (tensor.updated) refuse("updated_already", "params" + tensor.path);
  set_cohort(tensor.cohort, values, options);
  std::vector<Touched> touched;
  if (is_row_grad(grad)) touched.push_back({&tensor, grad.attr("rows"), grad.attr("values"), {}});
  check(tensor);
  touched.empty() ? accept_array(tensor, grad, options.zero_grads) : accept_rows(touched[0], options.zero_grads);
  if (touched.empty()) span_of(tensor).arrays[1] = accepted[tensor.place];
  unbind();
  Work one;
  touched.empty() ? one.add(span_of(tensor)) : add_rows(one, span_of(tensor), rule(), touched[0].grad);
  {
    const NoGil no_gil;
    Run run(one, rule(), options.num_threads);
    begin(tensor);
    run.update();
  }
  const Interrupt interrupt = second ? write_second({&tensor}, options.num_threads) : std::nullopt;
  tensor.updated = true;
  if (interrupt) throw *interrupt;
}

void Plan::end_block(const Options& options) {
  const auto is_updated = [](const Tensor& tensor) { return tensor.updated; };
  if (std::none_of(tensors.begin(), tensors.end(), is_updated)) return;
  const auto count = [&] {
    part_cohorts(is_updated);
    for (Cohort& cohort : cohorts) cohort.chosen = 0;
    for (Tensor& tensor : tensors) cohorts[tensor.cohort].chosen += std::exchange(tensor.updated, false);
    count_step([](const Cohort& cohort) { return cohort.chosen > 0; });
  };
  try {
    check();
    std::optional<Rest> rest = rest_of(options, [](const Tensor& tensor) { return !tensor.updated; });
    const NoGil no_gil;
    for (Tensor& tensor : tensors)
      if (!tensor.updated) begin_average(tensor);
    if (rest) rest->run(options);
  } catch (...) {  // the step is taken all the same
    count();
    throw;
  }
  count();
}

void Plan::accumulate(const py::object& given, const Options& options) {
  const py::object grads = leaves_of(given);
  std::vector<Touched> touched = touched_by(grads);
  accept_grads(grads, touched, options.zero_grads);
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
void Plan::set_second(std::size_t cohort) {
  const Hyper *ours = rule().signature->hyper, *theirs = rule_at(second->rule).signature->hyper;
  const Settings& first = settings[cohort];
  for (int k = 0; theirs[k].name != nullptr; ++k)
    for (int i = 0; ours[i].name != nullptr; ++i)
      if (std::strcmp(theirs[k].name, ours[i].name) == 0) second->settings[cohort].hyper[k] = first.hyper[i];
  second->settings[cohort].ema_weight = first.ema_weight;
}

// The states have changed by now, so the step must be ended: an interrupt that comes is raised afterwards.
Plan::Interrupt Plan::write_second(const std::vector<Tensor*>& tensors, int num_threads) {
  Interrupt interrupt;
  std::vector<py::object> directions;
  Work writes;
  for (const Tensor* tensor : tensors) set_second(tensor->cohort);
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
      span.settings = &second->settings[tensor->cohort];
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
