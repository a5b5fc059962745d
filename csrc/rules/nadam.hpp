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
                                          {{"m"}, {"v"}},
                                          {hyper::lr(2e-3),
                                           hyper::beta1(),
                                           hyper::beta2(),
                                           hyper::eps(),
                                           {"mu_decay", 0.9998367253526753, Domain::non_negative},  // 0.96^0.004
                                           {"mu_product", 1, Domain::non_negative},
                                           hyper::t}};
  T ahead, along, beta1, rest1, beta2, rest2, eps, unbias;

  NAdam(double lr, double beta1, double beta2, double eps, double mu_decay, double mu_product, double t)
      : NAdam(lr, beta1, beta2, eps, beta1 * (1 - 0.5 * power(mu_decay, t)), beta1 * (1 - 0.5 * power(mu_decay, t + 1)),
              mu_product, t) {}

  void operator()(T& w, T g, T& m, T& v) const {
    m = beta1 * m + rest1 * g;
    v = beta2 * v + rest2 * (g * g);
    w = w - (ahead * g + along * m) / (root(unbias * v) + eps);
  }

 private:
  NAdam(double lr, double beta1, double beta2, double eps, double mu, double mu_next, double mu_product, double t)
      : ahead(T(lr * (1 - mu) / (1 - mu_product * mu))), along(T(lr * mu_next / (1 - mu_product * mu * mu_next))),
        beta1(T(beta1)), rest1(T(1 - beta1)), beta2(T(beta2)), rest2(T(1 - beta2)), eps(T(eps)),
        unbias(T(1 / (1 - power(beta2, t)))) {}
};

// With AdamW's decay.
template <class T>
struct NAdamDecoupled : NAdam<T> {
  static constexpr Signature signature = {"nadam_decoupled",
                                          {{"m"}, {"v"}},
                                          {hyper::lr(2e-3),
                                           hyper::beta1(),
                                           hyper::beta2(),
                                           hyper::eps(),
                                           {"mu_decay", 0.9998367253526753, Domain::non_negative},
                                           {"mu_product", 1, Domain::non_negative},
                                           hyper::t,
                                           hyper::weight_decay(0)}};
  T keep;

  NAdamDecoupled(double lr, double beta1, double beta2, double eps, double mu_decay, double mu_product, double t,
                 double weight_decay)
      : NAdam<T>(lr, beta1, beta2, eps, mu_decay, mu_product, t), keep(T(1 - lr * weight_decay)) {}

  void operator()(T& w, T g, T& m, T& v) const {
    w = keep * w;
    NAdam<T>::operator()(w, g, m, v);
  }
};

}  // namespace
