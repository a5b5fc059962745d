// NAdamW: AdamW along Nesterov's look-ahead average. Dozat 2016 (ICLR workshop), in optax's form: the momentum is
// constant and v corrected as Adam's.
//   m <- beta1 m + (1 - beta1) g
//   v <- beta2 v + (1 - beta2) g^2
//   l = beta1 m / (1 - beta1^(t + 1)) + (1 - beta1) g / (1 - beta1^t)
//   w <- w - (lr weight_decay w + lr l / (sqrt(v / (1 - beta2^t) + eps_root) + eps))
// torch's NAdam has a momentum that grows from step to step.
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct NAdamW {
  static constexpr Signature signature = {"nadamw",
                                          {state::average("m"), state::square("v")},
                                          {hyper::lr(1e-3), hyper::beta1(), hyper::beta2(), hyper::eps(),
                                           hyper::eps_root(), hyper::t, hyper::weight_decay(1e-4)}};
  double lr, beta1, beta2, eps, eps_root, t, weight_decay;
  T lr_m = T(lr * beta1 / (1 - power(beta1, t + 1))), lr_g = T(lr * (1 - beta1) / (1 - power(beta1, t)));
  T unbias = T(1 / (1 - power(beta2, t)));

  void operator()(T& w, T g, T& m, T& v) const {
    m = T(beta1) * m + T(1 - beta1) * g;
    v = T(beta2) * v + T(1 - beta2) * (g * g);
    w = w - (T(lr * weight_decay) * w + (lr_m * m + lr_g * g) / (root(unbias * v + T(eps_root)) + T(eps)));
  }
};

}  // namespace
