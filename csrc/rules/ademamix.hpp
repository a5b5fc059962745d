// AdEMAMix: AdamW with a second, much longer average of the gradient. Pagliardini et al. 2025, Algorithm 1,
// arXiv:2409.03137.
//   m <- beta1 m + (1 - beta1) g
//   v <- beta2 v + (1 - beta2) g^2
//   m_slow <- beta3 m_slow + (1 - beta3) g
//   w <- (1 - lr weight_decay) w - lr (m / (1 - beta1^t) + alpha m_slow) / (sqrt(v / (1 - beta2^t) + eps_root) + eps)
// The warm-up of alpha and beta3 is the caller's.
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct AdEMAMix {
  static constexpr Signature signature = {"ademamix",
                                          {{"m"}, {"v"}, {"m_slow"}},
                                          {hyper::lr(1e-3),
                                           hyper::beta1(),
                                           hyper::beta2(),
                                           {"beta3", 0.9999, Domain::unit},
                                           {"alpha", 5, Domain::non_negative},
                                           hyper::eps(),
                                           hyper::eps_root(),
                                           hyper::t,
                                           hyper::weight_decay(0)}};
  T lr, beta1, rest1, beta2, rest2, beta3, rest3, alpha, eps, eps_root, unbias1, unbias2, keep;

  AdEMAMix(double lr, double beta1, double beta2, double beta3, double alpha, double eps, double eps_root, double t,
           double weight_decay)
      : lr(T(lr)), beta1(T(beta1)), rest1(T(1 - beta1)), beta2(T(beta2)), rest2(T(1 - beta2)), beta3(T(beta3)),
        rest3(T(1 - beta3)), alpha(T(alpha)), eps(T(eps)), eps_root(T(eps_root)), unbias1(T(1 / (1 - power(beta1, t)))),
        unbias2(T(1 / (1 - power(beta2, t)))), keep(T(1 - lr * weight_decay)) {}

  void operator()(T& w, T g, T& m, T& v, T& m_slow) const {
    m = beta1 * m + rest1 * g;
    v = beta2 * v + rest2 * (g * g);
    m_slow = beta3 * m_slow + rest3 * g;
    w = keep * w - lr * (unbias1 * m + alpha * m_slow) / (root(unbias2 * v + eps_root) + eps);
  }
};

}  // namespace
