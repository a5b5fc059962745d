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
               const py::object& grad_sum, const py::object& ema, const py::object& copy, bool weight_at_random) {
  if (cohort >= cohorts.size()) throw std::invalid_argument("no such cohort");
  tensors.emplace_back();
  Tensor& tensor = tensors.back();
  tensor.index = tensors.size() - 1, tensor.cohort = cohort, tensor.frozen = frozen, tensor.path = path;
  tensor.arrays = given, tensor.known = arrays.size();
  const State* const states = rule().signature->state;
  Narrowed narrowed;
  narrowed.weight_at_random = weight_at_random, narrowed.states_at_random = true;
  const auto accept = [&](int k, const char* name, const py::object& array) {
    const std::size_t first = narrowed.buffers.size();
    accept_narrow(rule(), k, {name, tensor.path.c_str()}, array, narrowed, frozen ? Access::read : Access::write);
    for (std::size_t i = first; i < narrowed.buffers.size(); ++i) known(narrowed.buffers[i]);
  };
  accept(0, "params", given[0]);
  const Buffer w = tensor.w = narrowed.buffers[0];
  tensor.axes = axes_of(w);
  Span& span = tensor.span = fusedoptim::span_of(w);
  span.axes = tensor.axes.data(), span.n_axes = tensor.axes.size();
  for (int k = 0; k < rule().n_state; ++k) {
    const auto at = std::size_t(1 + k);
    if (states[k].shape == Shape::scratch)
      tensor.arrays.insert(tensor.arrays.begin() + std::ptrdiff_t(at),
                           py::module_::import("numpy").attr("empty_like")(given[0]));
    if (states[k].begins_with_weight) tensor.copies.push_back(2 + k);
    if (states[k].shape == Shape::ring) slots = double(py::len(tensor.arrays.at(at)));
    accept(2 + k, states[k].name, tensor.arrays.at(at));
  }
  std::copy(narrowed.arrays + 2, std::end(narrowed.arrays), span.arrays + 2);
  tensor.narrow = narrowed.narrow, tensor.narrow.tensor = tensor.index;
  const auto accept_more = [&](const char* name, const py::object& array) -> void* {
    if (array.is_none()) return nullptr;
    const Buffer more = buffer({name, tensor.path.c_str()}, array, Access::write, &w);
    known(more);
    return more.begin;
  };
  span.grad_sum = accept_more("grad_sum", grad_sum), span.ema = accept_more("ema", ema);
  if (!copy.is_none()) {
    if (!takes_narrow) refuse("no_copies", rule().signature->name);
    const Buffer copied = copy_of(w, copy, {"copy_to", tensor.path.c_str()});
    known(copied);
    tensor.narrow.copy = copied.begin, tensor.narrow.copied = copied.storage;
  }
  if (!tensor.narrow.is_plain()) span.narrow = &tensor.narrow;
  for (const py::object& more : {grad_sum, ema, copy}) tensor.arrays.push_back(more);
  tensor.n_known = arrays.size() - tensor.known;
}

// An array of those that are checked before each step, and written in it.
void Plan::known(const Buffer& array) {
  written.push_back(array);
  arrays.add(array);
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
    tensor.narrow.tensor = whole;
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
  for (const py::object& each : idle) Py_VISIT(each.ptr());
  for (const Held& each : held) Py_VISIT(each.param.ptr());
  return 0;
}

void Plan::check() const {
  params.check();
  state.check();
  arrays.check();
}

void Plan::check(const Tensor& tensor) const { arrays.check(tensor.known, tensor.known + tensor.n_known); }

// A frozen weight may be read-only.
void Plan::check_writeable(const Tensor& tensor) { buffer_of_any_width(tensor.w.name, tensor.w.array, Access::write); }

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
