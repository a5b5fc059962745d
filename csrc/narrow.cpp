#include "narrow.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <stdexcept>

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
  if (w.storage != Storage::native && g.item() > w.item()) refuse("wider_than_weight", g.name.str(), g.array, w.array);
}

bool has_blocks(const Narrow& narrow) {
  return std::any_of(std::begin(narrow.storage), std::end(narrow.storage),
                     [](Storage storage) { return storage >= Storage::e4m3; });
}

namespace {

// Numbers as they are stored: where, in what, and what belongs to them.
struct Numbers {
  void* array;
  Storage storage;
  void* more;
  std::size_t n;
};

// Calls each(stored, i, n) for each block.
template <class Each>
void each_block(const Numbers& numbers, const Each& each) {
  for (std::size_t i = 0; i < numbers.n; i += block) {
    char* const more = static_cast<char*>(numbers.more);
    const Stored at = {static_cast<char*>(numbers.array) + i * bytes_of(numbers.storage),
                       more == nullptr ? nullptr : more + more_at(numbers.storage, i), nullptr, 0};
    each(at, i, std::min(block, numbers.n - i));
  }
}

void load(const Numbers& from, float* x) {
  if (from.storage == Storage::native) return void(std::memcpy(x, from.array, from.n * sizeof(float)));
  const Format& format = active_isa().formats[int(from.storage)];
  float loaded[block];  // codes are loaded in whole blocks
  each_block(from, [&](const Stored& at, std::size_t i, std::size_t n) {
    format.load(at, n, loaded);
    std::copy_n(loaded, n, x + i);
  });
}

void store(const Numbers& to, const float* x) {
  if (to.storage == Storage::native) return void(std::memcpy(to.array, x, to.n * sizeof(float)));
  const Format& format = active_isa().formats[int(to.storage)];
  float padded[block];
  each_block(to, [&](const Stored& at, std::size_t i, std::size_t n) {
    std::fill(std::copy_n(x + i, n, padded), std::end(padded), 0);
    format.store(at, n, padded);
  });
}

// An array, or a pair, that stores as many numbers as `like` has. Codes have a sign or not, which they don't say.
Numbers numbers_of(Name name, py::handle stored, bool is_signed, const Buffer& like) {
  Narrowed to;
  if (!is_pair(stored)) {
    const Buffer array = buffer_of_any_width(name, stored, Access::write, &like);
    return {array.begin, array.storage, nullptr, array.n};
  }
  const py::object dtype = py::getattr(item(stored, 0), "dtype", py::none());
  if (!dtype.equal(py::dtype("uint8"))) {
    accept_split(name, stored, Access::write, to);
    if (to.buffers[0].n != like.n) throw std::invalid_argument("as many numbers as stored");
    return {to.buffers[0].begin, to.narrow.storage[0], to.narrow.more[0], to.buffers[0].n};
  }
  to.buffers.push_back(like);
  accept_codes(name, stored, 2, is_signed ? Narrows::any_sign : Narrows::not_negative, to);
  return {to.buffers[1].begin, to.narrow.storage[2], to.narrow.more[2], like.n};
}

}  // namespace

void load_numbers(const Span& span, int k, float* x) {
  const Narrow plain, &narrow = span.narrow == nullptr ? plain : *span.narrow;
  load({span.arrays[k], narrow.storage[k], narrow.more[k], span.n}, x);
}

void load_numbers(const Buffer& from, float* x) { load({from.begin, from.storage, nullptr, from.n}, x); }

void load_numbers(py::handle stored, bool is_signed, py::handle x) {
  const Buffer to = buffer({"x"}, x, Access::write);
  load(numbers_of({"stored"}, stored, is_signed, to), reinterpret_cast<float*>(to.begin));
}

void store_numbers(py::handle stored, bool is_signed, py::handle x) {
  const Buffer from = buffer({"x"}, x, Access::read);
  store(numbers_of({"stored"}, stored, is_signed, from), reinterpret_cast<const float*>(from.begin));
}

}  // namespace fusedoptim
