// SGD with momentum, in torch's form: the sum of the gradients, each decayed. Polyak 1964.
//   m <- momentum m + (1 - dampening) g, and m <- g at t = 1
//   w <- w - lr m
// With Nesterov's look ahead, Sutskever et al. 2013, in torch's form:
//   m <- momentum m + g
//   w <- w - lr (g + momentum m)
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct HeavyBall {
  static constexpr Signature signature = {
      "heavy_ball",
      {{"m"}},
      {hyper::lr(1e-2), hyper::momentum(), {"dampening", 0, Domain::unit}, {"t", 1, Domain::count}}};
  T lr, momentum, rest;

  HeavyBall(double lr, double momentum, double dampening, double t)
      : lr(T(lr)), momentum(T(momentum)), rest(T(t == 1 ? 1 : 1 - dampening)) {}

  void operator()(T& w, T g, T& m) const {
    m = momentum * m + rest * g;
    w = w - lr * m;
  }
};

template <class T>
struct NesterovMomentum {
  static constexpr Signature signature = {"nesterov_momentum", {{"m"}}, {hyper::lr(1e-2), hyper::momentum()}};
  T lr, momentum;

  NesterovMomentum(double lr, double momentum) : lr(T(lr)), momentum(T(momentum)) {}

  void operator()(T& w, T g, T& m) const {
    m = momentum * m + g;
    w = w - lr * (g + momentum * m);
  }
};

}  // namespace
