// LAMB: Adam's direction with decay, of the length lr |w| in each tensor. You et al. 2020, Algorithm 2,
// arXiv:1904.00962.
//   m <- beta1 m + (1 - beta1) g
//   v <- beta2 v + (1 - beta2) g^2
//   u = m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t) + eps_root) + eps) + weight_decay w
//   w <- w - lr |w| / |u| u
// As in optax, phi(|w|) = |w| is not clamped, and the ratio is 1 where either norm is 0.
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct LAMB {
  static constexpr Signature signature = {"lamb",
                                          {{"m"}, {"v"}},
                                          {hyper::lr(1e-3), hyper::beta1(), hyper::beta2(), hyper::eps(1e-6),
                                           hyper::eps_root(), hyper::t, hyper::weight_decay(0)}};
  double lr, beta1, beta2, eps, eps_root, t, weight_decay;
  T unbias1 = T(1 / (1 - power(beta1, t))), unbias2 = T(1 / (1 - power(beta2, t))), factor = 0;

  T direction(T w, T m, T v) const {
    return unbias1 * m / (root(unbias2 * v + T(eps_root)) + T(eps)) + T(weight_decay) * w;
  }

  Terms<T, 2> measure(T w, T g, T& m, T& v) const {
    m = T(beta1) * m + T(1 - beta1) * g;
    v = T(beta2) * v + T(1 - beta2) * (g * g);
    return {w, direction(w, m, v)};
  }

  double settle(const Sums& sums, double, T*) const { return lr * trust_ratio(sums); }

  void operator()(T& w, Unused, T m, T v) const { w = w - factor * direction(w, m, v); }
};

}  // namespace
