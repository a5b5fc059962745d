// Adam: Kingma & Ba 2015, Algorithm 1, arXiv:1412.6980. t = inf leaves out the bias correction.
//   m <- beta1 m + (1 - beta1) g
//   v <- beta2 v + (1 - beta2) g^2
//   w <- w - lr m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t) + eps_root) + eps)
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct Adam {
  static constexpr Signature signature = {
      "adam",
      {state::average("m"), state::square("v")},
      {hyper::lr(1e-3), hyper::beta1(), hyper::beta2(), hyper::eps(), hyper::eps_root(), hyper::t}};
  static constexpr bool halves = true;
  double lr, beta1, beta2, eps, eps_root, t, weight_decay = 0;  // which the variants have
  T rate = T(lr / (1 - power(beta1, t))), unbias = T(1 / (1 - power(beta2, t)));

  void average(T g, T& m, T& v) const {
    m = T(beta1) * m + T(1 - beta1) * g;
    v = T(beta2) * v + T(1 - beta2) * (g * g);
  }
  T step(T m, T v) const { return rate * m / (root(unbias * v + T(eps_root)) + T(eps)); }

  void operator()(T& w, T g, T& m, T& v) const {
    average(g, m, v);
    w = w - step(m, v);
  }
};

}  // namespace
