// Tensors whose numbers lie in fewer bits than a step computes in.
#pragma once

#include <vector>

#include "arrays.hpp"

namespace fusedoptim {

// Whether a rule takes numbers one by one, so that it may be given what was loaded of other arrays.
bool may_be_narrow(const Rule& rule);

// What was accepted so far of the arrays of a tensor (w, g, state...), of which a pair is two.
struct Narrowed {
  bool is_random = false;       // whether 16 bits are rounded at random, or to nearest
  std::vector<Buffer> buffers;  // the weight comes first
  void* arrays[2 + max_state] = {};
  Narrow narrow;
};

// Accepts array k of a rule: it may be one of 16 bits, or a pair: a bfloat16 weight and what is left of it, or the
// codes of a state and their scales.
void accept_narrow(const Rule& rule, int k, Name name, py::handle given, Narrowed& to);

// What a gradient of 16 bits means.
void load_gradient(const Span& span, float* x);

}  // namespace fusedoptim
