#include "narrow.hpp"

#include <algorithm>
#include <cstring>

#include "isa.hpp"

namespace fusedoptim {

namespace {

bool is_pair(py::handle given) { return PyTuple_CheckExact(given.ptr()) && PyTuple_GET_SIZE(given.ptr()) == 2; }

py::handle item(py::handle pair, int k) { return PyTuple_GET_ITEM(pair.ptr(), k); }

// A bfloat16 weight, and what makes it a float32.
void accept_split(Name name, py::handle pair, Access access, Narrowed& to) {
  const Buffer high = buffer_of_any_width(name, item(pair, 0), access);
  if (high.storage != Storage::bfloat16) refuse("not_split", name.str(), high.array);
  const Buffer low = companion(name, item(pair, 1), "int16", axes_of(high));
  to.buffers.push_back(high), to.buffers.push_back(low);
  to.narrow.storage[0] = Storage::split, to.narrow.more[0] = low.begin;
}

// The codes of a state, in whole blocks, and their scales.
void accept_codes(Name name, py::handle pair, int k, Narrows narrows, Narrowed& to) {
  const std::size_t blocks = (to.buffers[0].n + block - 1) / block;
  const Buffer codes = companion(name, item(pair, 0), "uint8", {blocks * block});
  const Buffer scales = companion(name, item(pair, 1), "float32", {blocks});
  to.buffers.push_back(codes), to.buffers.push_back(scales);
  to.narrow.storage[k] = narrows == Narrows::any_sign ? Storage::e4m3 : Storage::e5m3;
  to.narrow.more[k] = scales.begin;
}

void accept_array(Name name, py::handle given, int k, Shape shape, Access access, bool narrow, Narrowed& to) {
  const Buffer* const w = k == 0 ? nullptr : &to.buffers[0];
  const Buffer array = shape == Shape::weight && narrow ? buffer_of_any_width(name, given, access, w)
                                                        : buffer(name, given, access, w, shape);
  to.narrow.storage[k] = array.storage;
  to.buffers.push_back(array);
}

}  // namespace

bool may_be_narrow(const Rule& rule) {
  if (rule.n_hyper == 0 || rule.measures_tensors || rule.by_row || rule.n_passes > 0) return false;
  return std::none_of(rule.signature->state, rule.signature->state + rule.n_state,
                      [](const State& state) { return state.shape == Shape::scratch; });
}

void accept_narrow(const Rule& rule, int k, Name name, py::handle given, Narrowed& to, Access of_weight) {
  const State* const state = k < 2 ? nullptr : &rule.signature->state[k - 2];
  const Narrows narrows = state == nullptr ? Narrows::no : state->narrows;
  const std::size_t at = to.buffers.size();
  const Access access = k == 0 ? of_weight : k == 1 ? Access::read : Access::write;
  const bool may = may_be_narrow(rule);
  if (k == 0 && may && is_pair(given))
    accept_split(name, given, access, to);
  else if (may && narrows != Narrows::no && is_pair(given) && to.buffers[0].dtype == 0)
    accept_codes(name, given, k, narrows, to);
  else
    accept_array(name, given, k, state == nullptr ? Shape::weight : state->shape, access, may, to);
  const Storage storage = to.narrow.storage[k];
  const bool is_half = storage == Storage::bfloat16 || storage == Storage::float16;
  to.arrays[k] = to.buffers[at].begin;
  if (state != nullptr && is_half && (narrows == Narrows::no || storage == Storage::float16))
    refuse("not_narrow", name.str(), given, rule.signature->name, narrows != Narrows::no);
  if (k == 1) return check_width(to.buffers[at], to.buffers[0]);
  const bool at_random = state == nullptr ? to.weight_at_random : to.states_at_random;
  to.narrow.is_random[k] = is_half ? at_random : storage == Storage::e5m3;
}

Buffer copy_of(const Buffer& w, py::handle given, Name name) {
  const Buffer copy = buffer_of_any_width(name, given, Access::write, &w);
  if (w.storage != Storage::native || copy.storage == Storage::native) refuse("not_a_copy", name.str(), given, w.array);
  return copy;
}

void check_width(const Buffer& g, const Buffer& w) {
  if (g.item() > w.item()) refuse("wider_than_weight", g.name.str(), g.array, w.array);
}

namespace {

// Calls each(stored, i, n) for the blocks of array k.
template <class Each>
void each_block(const Span& span, int k, const Each& each) {
  const Storage storage = span.narrow->storage[k];
  for (std::size_t i = 0; i < span.n; i += block) {
    void* const more = span.narrow->more[k];
    const Stored at = {static_cast<char*>(span.arrays[k]) + i * bytes_of(storage),
                       more == nullptr ? nullptr : static_cast<char*>(more) + more_at(storage, span.first + i), nullptr,
                       0};
    each(at, i, std::min(block, span.n - i));
  }
}

}  // namespace

void load_numbers(const Span& span, int k, float* x) {
  if (span.narrow == nullptr || span.narrow->storage[k] == Storage::native)
    return void(std::memcpy(x, span.arrays[k], span.n * sizeof(float)));
  const Format& format = active_isa().formats[int(span.narrow->storage[k])];
  each_block(span, k, [&](const Stored& at, std::size_t i, std::size_t n) { format.load(at, n, x + i); });
}

void store_weight(const Span& span, const float* x) {
  const Format& format = active_isa().formats[int(span.narrow->storage[0])];
  each_block(span, 0, [&](const Stored& at, std::size_t i, std::size_t n) { format.store(at, n, x + i); });
}

}  // namespace fusedoptim
