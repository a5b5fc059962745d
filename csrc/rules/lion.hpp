// Lion: steps of equal length along the sign of an average that looks at g twice. Chen et al. 2023, Algorithm 2,
// arXiv:2302.06675.
//   w <- (1 - lr weight_decay) w - lr sign(beta1 m + (1 - beta1) g)
//   m <- beta2 m + (1 - beta2) g
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct Lion {
  static constexpr Signature signature = {
      "lion", {{"m"}}, {hyper::lr(1e-4), hyper::beta1(), hyper::beta2(0.99), hyper::weight_decay(0)}};
  T lr, beta1, rest1, beta2, rest2, keep;

  Lion(double lr, double beta1, double beta2, double weight_decay)
      : lr(T(lr)), beta1(T(beta1)), rest1(T(1 - beta1)), beta2(T(beta2)), rest2(T(1 - beta2)),
        keep(T(1 - lr * weight_decay)) {}

  void operator()(T& w, T g, T& m) const {
    w = keep * w - lr * sign(beta1 * m + rest1 * g);
    m = beta2 * m + rest2 * g;
  }
};

}  // namespace
