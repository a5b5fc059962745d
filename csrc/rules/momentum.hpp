// Momentum: gradient descent along the running average of the gradient. Polyak 1964, in the averaging form.
//   m <- beta m + (1 - beta) g
//   w <- w - lr m
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct Momentum {
  static constexpr Signature signature = {"momentum", {state::average("m")}, {hyper::lr(1e-2), hyper::beta(0.9)}};
  static constexpr bool halves = true;
  double lr, beta;

  void operator()(T& w, T g, T& m) const {
    m = T(beta) * m + T(1 - beta) * g;
    w = w - T(lr) * m;
  }
};

}  // namespace
