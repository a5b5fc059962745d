// AdamaxW: Adamax (Kingma & Ba 2015, Algorithm 2, arXiv:1412.6980) with decoupled weight decay, scaled by lr.
//   m <- beta1 m + (1 - beta1) g
//   u <- max(beta2 u, |g| + eps)
//   w <- (1 - lr weight_decay) w - lr m / (1 - beta1^t) / u
// As in torch and optax, eps is added to |g|; the paper has none.
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct AdamaxW {
  static constexpr Signature signature = {
      "adamaxw",
      {{"m"}, {"u"}},
      {hyper::lr(2e-3), hyper::beta1(), hyper::beta2(), hyper::eps(), hyper::t, hyper::weight_decay(1e-4)}};
  T lr, beta1, rest1, beta2, eps, keep;

  AdamaxW(double lr, double beta1, double beta2, double eps, double t, double weight_decay)
      : lr(T(lr / (1 - power(beta1, t)))), beta1(T(beta1)), rest1(T(1 - beta1)), beta2(T(beta2)), eps(T(eps)),
        keep(T(1 - lr * weight_decay)) {}

  void operator()(T& w, T g, T& m, T& u) const {
    m = beta1 * m + rest1 * g;
    u = larger(beta2 * u, absolute(g) + eps);
    w = keep * w - lr * m / u;
  }
};

}  // namespace
