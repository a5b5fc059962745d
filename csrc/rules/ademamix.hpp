// AdEMAMix: AdamW with a second, much longer average of the gradient. Pagliardini et al. 2025, Algorithm 1,
// arXiv:2409.03137.
//   m <- beta1 m + (1 - beta1) g
//   v <- beta2 v + (1 - beta2) g^2
//   m_slow <- beta3 m_slow + (1 - beta3) g
//   step = lr (m / (1 - beta1^t) + alpha m_slow) / (sqrt(v / (1 - beta2^t) + eps_root) + eps)
//   w <- w - (lr weight_decay w + step)
// The warm-up of alpha and beta3 is the caller's.
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct AdEMAMix {
  static constexpr Signature signature = {"ademamix",
                                          {state::average("m"), state::square("v"), state::average("m_slow")},
                                          {hyper::lr(1e-3),
                                           hyper::beta1(),
                                           hyper::beta2(),
                                           {"beta3", 0.9999, Domain::unit},
                                           {"alpha", 5, Domain::non_negative},
                                           hyper::eps(),
                                           hyper::eps_root(),
                                           hyper::t,
                                           hyper::weight_decay(0)}};
  double lr, beta1, beta2, beta3, alpha, eps, eps_root, t, weight_decay;
  T unbias1 = T(1 / (1 - power(beta1, t))), unbias2 = T(1 / (1 - power(beta2, t)));

  void operator()(T& w, T g, T& m, T& v, T& m_slow) const {
    m = T(beta1) * m + T(1 - beta1) * g;
    v = T(beta2) * v + T(1 - beta2) * (g * g);
    m_slow = T(beta3) * m_slow + T(1 - beta3) * g;
    const T step = T(lr) * (unbias1 * m + T(alpha) * m_slow) / (root(unbias2 * v + T(eps_root)) + T(eps));
    w = w - (T(lr * weight_decay) * w + step);
  }
};

}  // namespace
