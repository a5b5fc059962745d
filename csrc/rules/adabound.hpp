// AdaBound: Adam whose step sizes are clipped to bounds that close in on one rate: from Adam to SGD. Luo et al. 2019,
// Algorithm 2, arXiv:1902.09843.
//   m <- beta1 m + (1 - beta1) g
//   v <- beta2 v + (1 - beta2) g^2
//   w <- w - clip(lr sqrt(1 - beta2^t) / (1 - beta1^t) / (sqrt(v) + eps), lower, upper) m
//        with lower = final_lr (1 - 1 / (gamma t + 1)), upper = final_lr (1 + 1 / (gamma t))
// As the authors' code: the paper corrects no bias, and divides the clipped sizes by sqrt(t).
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct AdaBound {
  static constexpr Signature signature = {"adabound",
                                          {state::average("m"), state::square("v")},
                                          {hyper::lr(1e-3),
                                           hyper::beta1(),
                                           hyper::beta2(),
                                           hyper::eps(),
                                           {"final_lr", 0.1, Domain::non_negative},
                                           {"gamma", 1e-3, Domain::positive},
                                           {"t", 1, Domain::count}}};
  double lr, beta1, beta2, eps, final_lr, gamma, t;
  T rate = T(lr * sqrt(1 - power(beta2, t)) / (1 - power(beta1, t)));
  T lower = T(final_lr * (1 - 1 / (gamma * t + 1))), upper = T(final_lr * (1 + 1 / (gamma * t)));

  void operator()(T& w, T g, T& m, T& v) const {
    m = T(beta1) * m + T(1 - beta1) * g;
    v = T(beta2) * v + T(1 - beta2) * (g * g);
    w = w - clipped(rate / (root(v) + T(eps)), lower, upper) * m;
  }
};

}  // namespace
