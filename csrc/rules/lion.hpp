// Lion: steps of equal length along the sign of an average that looks at g twice. Chen et al. 2023, Algorithm 2,
// arXiv:2302.06675.
//   w <- w - (lr weight_decay w + lr sign(beta1 m + (1 - beta1) g))
//   m <- beta2 m + (1 - beta2) g
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct Lion {
  static constexpr Signature signature = {
      "lion", {state::average("m")}, {hyper::lr(1e-4), hyper::beta1(), hyper::beta2(0.99), hyper::weight_decay(0)}};
  static constexpr bool halves = true;
  double lr, beta1, beta2, weight_decay;

  void operator()(T& w, T g, T& m) const {
    w = w - (T(lr * weight_decay) * w + T(lr) * sign(T(beta1) * m + T(1 - beta1) * g));
    m = T(beta2) * m + T(1 - beta2) * g;
  }
};

}  // namespace
