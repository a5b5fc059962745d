// The limit a rule is measured against: the loads and stores of a rule with 0, 1 or 2 state arrays, and no arithmetic
// but one addition, without which the gradient or a weight would not be loaded. Values move on, so that none is in
// vain.
#pragma once
#include "math.hpp"

namespace {

template <class T>
struct Traffic0 {
  static constexpr Signature signature = {"traffic0", {}, {}};

  void operator()(T& w, T g) const { w = w + g; }
};

template <class T>
struct Traffic1 {
  static constexpr Signature signature = {"traffic1", {{"a"}}, {}};

  void operator()(T& w, T g, T& a) const {
    const T sum = w + g;
    w = a;
    a = sum;
  }
};

template <class T>
struct Traffic2 {
  static constexpr Signature signature = {"traffic2", {{"a"}, {"b"}}, {}};

  void operator()(T& w, T g, T& a, T& b) const {
    const T sum = w + g;
    w = a;
    a = b;
    b = sum;
  }
};

}  // namespace
