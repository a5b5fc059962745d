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
      {state::average("m")},
      {hyper::lr(1e-2), hyper::momentum(), {"dampening", 0, Domain::unit}, {"t", 1, Domain::count}}};
  double lr, momentum, dampening, t;
  T rest = T(t == 1 ? 1 : 1 - dampening);

  void operator()(T& w, T g, T& m) const {
    m = T(momentum) * m + rest * g;
    w = w - T(lr) * m;
  }
};

template <class T>
struct NesterovMomentum {
  static constexpr Signature signature = {
      "nesterov_momentum", {state::average("m")}, {hyper::lr(1e-2), hyper::momentum()}};
  double lr, momentum;

  void operator()(T& w, T g, T& m) const {
    m = T(momentum) * m + g;
    w = w - T(lr) * (g + T(momentum) * m);
  }
};

}  // namespace
