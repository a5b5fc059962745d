#include "narrow.hpp"

#include <algorithm>

#include "isa.hpp"

namespace fusedoptim {

namespace {

bool is_pair(py::handle given) { return PyTuple_CheckExact(given.ptr()) && PyTuple_GET_SIZE(given.ptr()) == 2; }

py::handle item(py::handle pair, int k) { return PyTuple_GET_ITEM(pair.ptr(), k); }

// A bfloat16 weight, and what makes it a float32.
void accept_split(Name name, py::handle pair, Narrowed& to) {
  const Buffer high = buffer_of_any_width(name, item(pair, 0), Access::write);
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

void accept_array(Name name, py::handle given, int k, Shape shape, Narrowed& to) {
  const Access access = k == 1 ? Access::read : Access::write;
  const Buffer* const w = k == 0 ? nullptr : &to.buffers[0];
  const Buffer array =
      shape == Shape::weight ? buffer_of_any_width(name, given, access, w) : buffer(name, given, access, w, shape);
  to.narrow.storage[k] = array.storage;
  to.buffers.push_back(array);
}

}  // namespace

bool may_be_narrow(const Rule& rule) {
  if (rule.n_hyper == 0 || rule.measures_tensors || rule.by_row || rule.n_passes > 0) return false;
  return std::none_of(rule.signature->state, rule.signature->state + rule.n_state,
                      [](const State& state) { return state.shape == Shape::scratch; });
}

void accept_narrow(const Rule& rule, int k, Name name, py::handle given, Narrowed& to) {
  const State* const state = k < 2 ? nullptr : &rule.signature->state[k - 2];
  const Narrows narrows = state == nullptr ? Narrows::no : state->narrows;
  const std::size_t at = to.buffers.size();
  if (k == 0 && is_pair(given))
    accept_split(name, given, to);
  else if (narrows != Narrows::no && is_pair(given) && to.buffers[0].dtype == 0)
    accept_codes(name, given, k, narrows, to);
  else
    accept_array(name, given, k, state == nullptr ? Shape::weight : state->shape, to);
  const Storage storage = to.narrow.storage[k];
  const bool is_half = storage == Storage::bfloat16 || storage == Storage::float16;
  to.arrays[k] = to.buffers[at].begin;
  if (state != nullptr && is_half && (narrows == Narrows::no || storage == Storage::float16))
    refuse("not_narrow", name.str(), given, rule.signature->name, narrows != Narrows::no);
  if (k == 1 && to.buffers[at].item() > to.buffers[0].item())
    refuse("wider_than_weight", name.str(), to.buffers[at].array, to.buffers[0].array);
  if (k == 1) return;  // it is only read
  to.narrow.is_random[k] = is_half ? to.is_random : storage == Storage::e5m3;
}

void load_gradient(const Span& span, float* x) {
  const Storage storage = span.narrow->storage[1];
  for (std::size_t i = 0; i < span.n; i += block) {
    const Stored at = {static_cast<char*>(span.arrays[1]) + i * bytes_of(storage), nullptr, nullptr, 0};
    active_isa().formats[int(storage)].load(at, std::min(block, span.n - i), x + i);
  }
}

}  // namespace fusedoptim
