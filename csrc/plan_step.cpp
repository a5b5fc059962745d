// The steps of a plan.
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
#include "plan.hpp"

namespace fusedoptim {

namespace {

bool is_t(const Hyper& hyper) { return hyper.domain == Domain::step || hyper.domain == Domain::count; }

// What a group passes: the hyper-parameters that are not counted from the arrays, and the L2 penalty.
std::size_t n_values(const Rule& rule) {
  std::size_t n = 1;
  for (int k = 0; k < rule.n_hyper; ++k) n += rule.signature->hyper[k].domain != Domain::slots;
  return n;
}

std::size_t item_of(int dtype) { return dtype == 0 ? sizeof(float) : sizeof(double); }

// Of what is kept in the dtype of the step.
void copy_weight(const Span& span, void* state) {
  if (span.dtype == 0)
    load_numbers(span, 0, static_cast<float*>(state));
  else
    std::memcpy(state, span.arrays[0], span.n * sizeof(double));
}

Storage storage_of_gradient(const Span& span) {
  return span.narrow == nullptr ? Storage::native : span.narrow->storage[1];
}

std::size_t bytes_of_gradient(const Span& span) {
  const Storage storage = storage_of_gradient(span);
  return span.n * (storage == Storage::native ? item_of(span.dtype) : bytes_of(storage));
}

template <class T>
bool all_finite(const void* x, const void* sum, std::size_t n) {
  const auto *each = static_cast<const T*>(x), *before = static_cast<const T*>(sum);
  for (std::size_t i = 0; i < n; ++i)
    if (!std::isfinite(before == nullptr ? each[i] : each[i] + before[i])) return false;
  return true;
}

// As torch has checked it: its domains are wider than a rule's own.
double value_of_torch(const Hyper& hyper, py::handle value) {
  const bool is_whole = hyper.domain == Domain::step || hyper.domain == Domain::count;
  return number(hyper.name, value, is_whole || hyper.domain == Domain::choice ? hyper.domain : Domain::real);
}

}  // namespace

// Rounded as within the loops, whatever mode the host has set.
double norm_of(Run& run, const Options& options) {
  const FlushSubnormals nearest;
  return std::sqrt(run.square_sum()) / std::fabs(options.grad_scale);
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
  const auto value_of = held.empty() ? hyper_value : value_of_torch;
  Settings next;
  int k = 0;
  for (; k < int(n) - 1; ++k) {
    const Hyper& hyper = rule.signature->hyper[k];
    const py::handle value = PyList_GET_ITEM(given.ptr(), k);
    next.hyper[k] = is_t(hyper) && value.is_none() ? double(cohorts[cohort].steps + 1) : value_of(hyper, value);
  }
  next.l2 = value_of(l2_penalty, PyList_GET_ITEM(given.ptr(), k));
  if (k < rule.n_hyper) next.hyper[k] = slots;
  next.scale = (options.maximize ? -1 : 1) / options.grad_scale;
  next.count = options.accumulate;
  next.clip_value = options.clip_value;
  next.zero_grads = options.zero_grads;
  next.seed = options.seed, next.step = std::uint64_t(counters.t + 1);
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
    Run run(touched.empty() ? work : expanded, rule(), options.num_threads, needs_norm, exchanger());
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
    begin(options);
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

Exchange Plan::exchanger() const {
  if (exchange.is_none()) return nullptr;
  return [this](const std::vector<Sums>& own) {
    const py::gil_scoped_acquire acquire;
    using Numbers = py::array_t<double, py::array::c_style>;
    Numbers mine({own.size(), std::size_t(2)});
    if (!own.empty()) std::memcpy(mine.mutable_data(), own.data(), own.size() * sizeof(Sums));
    const auto given = py::cast<Numbers>(exchange(mine));
    std::vector<Sums> all(chunks_of_all);
    if (std::size_t(given.size()) != 2 * all.size()) throw std::invalid_argument("two sums for each chunk of all");
    for (std::size_t c = 0; c < all.size(); ++c) all[c] = {{given.data()[2 * c], given.data()[2 * c + 1]}};
    return all;
  };
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

void Plan::begin(const Options& options) {
  if (std::any_of(cohorts.begin(), cohorts.end(), [](const Cohort& c) { return c.steps == 0 || c.averages == 0; }))
    for (Tensor& tensor : tensors)
      if (!tensor.updated) begin(tensor, options);
}

void Plan::begin(Tensor& tensor, const Options& options) const {
  begin_average(tensor, options);
  if (cohorts[tensor.cohort].steps > 0) return;
  for (const int k : tensor.copies) copy_weight(tensor.span, tensor.span.arrays[k]);
}

void Plan::begin_average(Tensor& tensor, const Options& options) const {
  const Span& span = tensor.span;
  if (cohorts[tensor.cohort].averages > 0 || span.ema == nullptr) return;
  options.ema_from_zero ? void(std::memset(span.ema, 0, span.n * item_of(span.dtype))) : copy_weight(span, span.ema);
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
    std::vector<float> loaded;
    if (storage_of_gradient(span) != Storage::native) {
      loaded.resize(span.n);
      load_numbers(span, 1, loaded.data());
      g = loaded.data();
    }
    if (!(span.dtype == 0 ? all_finite<float>(g, span.grad_sum, n) : all_finite<double>(g, span.grad_sum, n)))
      return &tensor;
  }
  return nullptr;
}

// The step that is not taken: drops the sums of gradients, counts, and tells if it should.
void Plan::skip(const std::vector<Touched>& touched, double norm, const Options& options) {
  const Tensor* bad = options.raise_nonfinite ? not_finite(touched) : nullptr;
  for (const Span& span : work.spans) {
    if (span.grad_sum != nullptr) std::memset(span.grad_sum, 0, span.n * item_of(span.dtype));
    if (options.zero_grads && !options.raise_nonfinite) std::memset(span.arrays[1], 0, bytes_of_gradient(span));
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
  take_gradient(tensor);
  has_narrow = true;  // as far as is known
  unbind();
  Work one;
  touched.empty() ? one.add(span_of(tensor)) : add_rows(one, span_of(tensor), rule(), touched[0].grad);
  {
    const NoGil no_gil;
    Run run(one, rule(), options.num_threads, false, exchanger());
    begin(tensor, options);
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
      if (!tensor.updated) begin_average(tensor, options);
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
  std::vector<Narrow> narrow(work.spans.size());  // the gradients may be, but not the sums
  for (std::size_t k = 0; k < work.spans.size(); ++k) {
    const Span& span = work.spans[k];
    Span sum = {{span.grad_sum, span.arrays[1]}, span.n, span.dtype, &settings};
    narrow[k].storage[1] = storage_of_gradient(span);
    if (narrow[k].storage[1] != Storage::native) sum.narrow = &narrow[k];
    sums.add(sum);
  }
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
