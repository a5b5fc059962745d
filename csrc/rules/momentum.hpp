// Momentum: gradient descent along the running average of the gradient. Polyak 1964, in the averaging form.
//   m <- beta m + (1 - beta) g
//   w <- w - lr m
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct Momentum {
  static constexpr Signature signature = {"momentum", {{"m"}}, {hyper::lr(1e-2), hyper::beta(0.9)}};
  T lr, beta, rest;

  Momentum(double lr, double beta) : lr(T(lr)), beta(T(beta)), rest(T(1 - beta)) {}

  void operator()(T& w, T g, T& m) const {
    m = beta * m + rest * g;
    w = w - lr * m;
  }
};

}  // namespace
