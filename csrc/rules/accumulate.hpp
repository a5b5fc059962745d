// Uniform averaging of M minibatches: Accumulate adds up the first M-1 gradients, Mean<Rule> is the rule on the mean
// of all M. Mean reads the last gradient and the sum once, in the pass that updates, and leaves the sum at zero.
#pragma once
#include "math.hpp"

namespace {

template <class T>
struct Accumulate {
  static constexpr Signature signature = {"accumulate", {}, {}};

  void operator()(T& sum, T g) const { sum = sum + g; }
};

template <class Rule, class T, class... States>
struct Mean : Rule {
  T count;

  void operator()(T& w, T g, T& sum, States... state) const {
    const T mean = (sum + g) / count;
    sum = 0;
    Rule::operator()(w, mean, state...);
  }
};

}  // namespace
