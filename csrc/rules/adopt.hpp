// ADOPT: the gradient over the root of what its square was on average before, and then momentum. Taniguchi et al. 2024,
// arXiv:2411.02853, in the clipped form.
//   u = g / max(sqrt(v), eps), clipped to +-clip (t - 1)^(1/4)
//   m <- beta1 m + (1 - beta1) u
//   v <- beta2 v + (1 - beta2) g^2, at first g^2
//   w <- w - lr m
// The first step fills v alone: it clips to 0.
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct ADOPT {
  static constexpr Signature signature = {
      "adopt",
      {state::average("m"), state::square("v")},
      {hyper::lr(1e-3), hyper::beta1(), hyper::beta2(0.9999), hyper::eps(1e-6), {"clip", 1, Domain::limit}, hyper::t}};
  double lr, beta1, beta2, eps, clip, t;
  T decay = T(t > 1 ? beta2 : 0), rest = T(t > 1 ? 1 - beta2 : 1), limit = T(t > 1 ? clip * sqrt(sqrt(t - 1)) : 0);

  void operator()(T& w, T g, T& m, T& v) const {
    const T u = clipped(g / larger(root(v), T(eps)), -limit, limit);
    m = T(beta1) * m + T(1 - beta1) * u;
    v = decay * v + rest * (g * g);
    w = w - T(lr) * m;
  }
};

}  // namespace
