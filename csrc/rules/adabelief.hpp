// AdaBelief: Adam whose step is short where the gradient is not what its average led to expect. Zhuang et al. 2020,
// Algorithm 2, arXiv:2010.07468.
//   m <- beta1 m + (1 - beta1) g
//   s <- beta2 s + (1 - beta2) (g - m)^2 + eps_root
//   w <- w - lr m / (1 - beta1^t) / (sqrt(s / (1 - beta2^t)) + eps)
// As in the paper, its code and optax, eps_root is added to the average itself and adds up there.
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct AdaBelief {
  static constexpr Signature signature = {
      "adabelief",
      {state::average("m"), state::square("s")},
      {hyper::lr(1e-3), hyper::beta1(), hyper::beta2(), hyper::eps(1e-16), hyper::eps_root(1e-16), hyper::t}};
  double lr, beta1, beta2, eps, eps_root, t;
  T rate = T(lr / (1 - power(beta1, t))), unbias = T(1 / (1 - power(beta2, t)));

  void operator()(T& w, T g, T& m, T& s) const {
    m = T(beta1) * m + T(1 - beta1) * g;
    s = T(beta2) * s + T(1 - beta2) * ((g - m) * (g - m)) + T(eps_root);
    w = w - rate * m / (root(unbias * s) + T(eps));
  }
};

}  // namespace
