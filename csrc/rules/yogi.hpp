// Yogi: Adam whose v moves towards g^2 by a part of g^2, not of their difference, so that it falls slowly. Zaheer et
// al. 2018, Algorithm 2 (NeurIPS), with the bias correction of optax; t = inf leaves it out.
//   m <- beta1 m + (1 - beta1) g
//   v <- v - (1 - beta2) sign(v - g^2) g^2
//   w <- w - lr m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct Yogi {
  static constexpr Signature signature = {
      "yogi",
      {state::average("m"), state::square("v")},
      {hyper::lr(1e-2), hyper::beta1(), hyper::beta2(), hyper::eps(1e-3), hyper::t}};
  double lr, beta1, beta2, eps, t;
  T rate = T(lr / (1 - power(beta1, t))), unbias = T(1 / (1 - power(beta2, t)));

  void operator()(T& w, T g, T& m, T& v) const {
    m = T(beta1) * m + T(1 - beta1) * g;
    v = v - T(1 - beta2) * (sign(v - g * g) * (g * g));
    w = w - rate * m / (root(unbias * v) + T(eps));
  }
};

}  // namespace
