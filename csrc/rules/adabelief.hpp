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
      {{"m"}, {"s"}},
      {hyper::lr(1e-3), hyper::beta1(), hyper::beta2(), hyper::eps(1e-16), hyper::eps_root(1e-16), hyper::t}};
  T lr, beta1, rest1, beta2, rest2, eps, eps_root, unbias;

  AdaBelief(double lr, double beta1, double beta2, double eps, double eps_root, double t)
      : lr(T(lr / (1 - power(beta1, t)))), beta1(T(beta1)), rest1(T(1 - beta1)), beta2(T(beta2)), rest2(T(1 - beta2)),
        eps(T(eps)), eps_root(T(eps_root)), unbias(T(1 / (1 - power(beta2, t)))) {}

  void operator()(T& w, T g, T& m, T& s) const {
    m = beta1 * m + rest1 * g;
    s = beta2 * s + rest2 * ((g - m) * (g - m)) + eps_root;
    w = w - lr * m / (root(unbias * s) + eps);
  }
};

}  // namespace
