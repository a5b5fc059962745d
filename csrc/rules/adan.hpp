// Adan: Nesterov's look ahead by the change of the gradient, in Adam's form. Xie et al. 2022, Algorithm 1,
// arXiv:2208.06677, with decays beta as the authors' code has them: the paper's betas are 1 - beta.
//   d = g - prev, 0 at t = 1
//   m <- beta1 m + (1 - beta1) g
//   v <- beta2 v + (1 - beta2) d
//   n <- beta3 n + (1 - beta3) (g + beta2 d)^2
//   step = lr (m / (1 - beta1^t) + beta2 v / (1 - beta2^t)) / (sqrt(n / (1 - beta3^t) + eps_root) + eps)
//   w <- w - (lr weight_decay w + step) / (1 + lr weight_decay), which is (w - step) / (1 + lr weight_decay)
//   prev <- g
// optax has 1 - beta2 in place of the beta2 before d and v, and decays as AdamW does.
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct Adan {
  static constexpr Signature signature = {"adan",
                                          {state::average("m"), state::average("v"), state::square("n"), {"prev"}},
                                          {hyper::lr(1e-3), hyper::beta1(0.98), hyper::beta2(0.92), hyper::beta3(0.99),
                                           hyper::eps(), hyper::eps_root(), hyper::t, hyper::weight_decay(0)}};
  double lr, beta1, beta2, beta3, eps, eps_root, t, weight_decay;
  T lr_m = T(lr / (1 - power(beta1, t))), lr_v = T(lr * beta2 / (1 - power(beta2, t)));
  T unbias = T(1 / (1 - power(beta3, t)));
  T first = T(t == 1);  // 1 or 0: by a bool, GCC would not choose in vectors

  void operator()(T& w, T g, T& m, T& v, T& n, T& prev) const {
    const T d = first > 0 ? T(0) : g - prev;
    const T ahead = g + T(beta2) * d;
    m = T(beta1) * m + T(1 - beta1) * g;
    v = T(beta2) * v + T(1 - beta2) * d;
    n = T(beta3) * n + T(1 - beta3) * (ahead * ahead);
    const T step = (lr_m * m + lr_v * v) / (root(unbias * n + T(eps_root)) + T(eps));
    w = w - T(1 / (1 + lr * weight_decay)) * (T(lr * weight_decay) * w + step);
    prev = g;
  }
};

}  // namespace
