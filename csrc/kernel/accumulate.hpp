// The sum of the gradients of several minibatches, before a step takes their mean.
//   sum <- sum + g
#pragma once
#include "math.hpp"

namespace {

template <class T>
struct Accumulate {
  static constexpr Signature signature = {"accumulate", {}, {}};

  void operator()(T& sum, T g) const { sum = sum + g; }
};

}  // namespace
