#include "plan.hpp"

#include <algorithm>
#include <new>
#include <stdexcept>
#include <utility>

namespace fusedoptim {

namespace {

std::vector<Cohort> cohorts_of(const std::vector<std::tuple<std::size_t, long long, long long>>& given) {
  std::vector<Cohort> cohorts;
  for (const auto& [group, steps, averages] : given) cohorts.push_back({group, steps, averages, cohorts.size()});
  return cohorts;
}

}  // namespace

Plan::Plan(const std::string& rule, const std::vector<std::tuple<std::size_t, long long, long long>>& given,
           bool carries)
    : rule_at_index(rule_index(rule)), carries(carries), takes_narrow(may_be_narrow(this->rule())),
      cohorts(cohorts_of(given)), settings(given.size()) {}

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
  place_chunks();
  see_active();
}

void Plan::slice(const std::vector<std::tuple<std::size_t, std::size_t, std::size_t>>& slices,
                 const py::function& given) {
  if (slices.size() != tensors.size()) throw std::invalid_argument("as many slices as tensors");
  for (Tensor& tensor : tensors) {
    const auto& [whole, begin, n] = slices[tensor.index];
    tensor.slice = {whole, begin, n};
    tensor.span.slice = &tensor.slice;
  }
  exchange = given;
  arrange();
}

// Where the chunks of each whole tensor are among those of all.
void Plan::place_chunks() {
  chunks_of_all = 0;
  const Slice* before = nullptr;
  for (int dtype = 0; dtype < n_dtypes; ++dtype)
    for (Tensor& tensor : tensors) {
      if (tensor.frozen || tensor.w.dtype != dtype || tensor.span.slice == nullptr) continue;
      const bool is_next = before == nullptr || before->tensor != tensor.slice.tensor;
      tensor.slice.first_chunk = is_next ? chunks_of_all : before->first_chunk;
      if (is_next) chunks_of_all += chunks_of(tensor.slice.n);
      before = &tensor.slice;
    }
}

// Makes each cohort one of which all tensors are chosen, or none: those that are go into one of their own.
void Plan::part_cohorts(const Choice& is_chosen) {
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

void Plan::watch(const py::object& of_both, const py::list& of_params, const py::list& of_state) {
  skeleton = of_both;
  params = Nest(of_params), state = Nest(of_state);
}

int Plan::traverse(visitproc visit, void* arg) const {
  Py_VISIT(bound.ptr());
  Py_VISIT(skeleton.ptr());
  Py_VISIT(exchange.ptr());
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

void Plan::set_t(long long t) {
  const long long more = t - counters.t;
  for (Cohort& cohort : cohorts) {
    cohort.steps = std::max(0LL, cohort.steps + more);
    cohort.averages = std::max(0LL, cohort.averages + more);
  }
  counters.t = t;
}

}  // namespace fusedoptim
