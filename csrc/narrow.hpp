// Tensors whose numbers lie in fewer bits than a step computes in.
#pragma once

#include <vector>

#include "arrays.hpp"

namespace fusedoptim {

// What was accepted so far of the arrays of a tensor (w, g, state...), of which a pair is two.
struct Narrowed {
  bool weight_at_random = false, states_at_random = false;  // whether 16 bits are rounded so, or to nearest
  std::vector<Buffer> buffers;                              // the weight comes first
  void* arrays[2 + max_state] = {};
  Narrow narrow;
};

// Accepts array k of a rule: it may be one of 16 bits, or a pair: a bfloat16 weight and what is left of it, or the
// codes of a state and their scales.
void accept_narrow(const Rule& rule, int k, Name name, py::handle given, Narrowed& to,
                   Access of_weight = Access::write);

// A copy of a float32 weight, in 16 bits.
Buffer copy_of(const Buffer& w, py::handle given, Name name);

// Refuses a gradient that has more bits than its weight.
void check_width(const Buffer& g, const Buffer& w);

// Whether an array of a tensor lies in blocks, which have no rows.
bool has_blocks(const Narrow& narrow);

// The numbers of an array (0: the weight, 1: the gradient, ...) of a float32 span, as they are loaded; those of a
// buffer without a part beside it; and of anything that a tensor may have, whose codes have a sign or not, also the way
// back, to nearest.
void load_numbers(const Span& span, int k, float* x);
void load_numbers(const Buffer& from, float* x);
void load_numbers(py::handle stored, bool is_signed, py::handle x);
void store_numbers(py::handle stored, bool is_signed, py::handle x);

}  // namespace fusedoptim
