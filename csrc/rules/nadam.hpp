// NAdam: Adam with Nesterov's look ahead, and a momentum that warms up. Dozat 2016, ICLR workshop.
//   mu(t) = beta1 (1 - mu_decay^t / 2), with mu_decay = 0.96^momentum_decay
//   m, v as in Adam
//   n = (1 - mu(t)) / (1 - mu(1) ... mu(t)) g + mu(t + 1) / (1 - mu(1) ... mu(t + 1)) m
//   w <- w - lr n / (sqrt(v / (1 - beta2^t)) + eps)
// mu_product is mu(1) ... mu(t - 1). As in torch, m decays with beta1, not with mu, and v is not multiplied by beta2.
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct NAdam {
  static constexpr Signature signature = {"nadam",
                                          {state::average("m"), state::square("v")},
                                          {hyper::lr(2e-3),
                                           hyper::beta1(),
                                           hyper::beta2(),
                                           hyper::eps(),
                                           {"mu_decay", 0.9998367253526753, Domain::non_negative},  // 0.96^0.004
                                           {"mu_product", 1, Domain::non_negative},
                                           hyper::t}};
  double lr, beta1, beta2, eps, mu_decay, mu_product, t, weight_decay = 0;  // which the variant has
  double mu = beta1 * (1 - 0.5 * power(mu_decay, t)), mu_next = beta1 * (1 - 0.5 * power(mu_decay, t + 1));
  T ahead = T(lr * (1 - mu) / (1 - mu_product * mu)), along = T(lr * mu_next / (1 - mu_product * mu * mu_next));
  T unbias = T(1 / (1 - power(beta2, t)));

  T step(T g, T& m, T& v) const {
    m = T(beta1) * m + T(1 - beta1) * g;
    v = T(beta2) * v + T(1 - beta2) * (g * g);
    return (ahead * g + along * m) / (root(unbias * v) + T(eps));
  }

  void operator()(T& w, T g, T& m, T& v) const { w = w - step(g, m, v); }
};

// With AdamW's decay.
template <class T>
struct NAdamDecoupled : NAdam<T> {
  static constexpr Signature signature = variant(NAdam<T>::signature, "nadam_decoupled", hyper::weight_decay(0));

  void operator()(T& w, T g, T& m, T& v) const { w = w - (T(this->lr * this->weight_decay) * w + this->step(g, m, v)); }
};

}  // namespace
