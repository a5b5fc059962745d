// Signum: steps of equal length along the sign of the running average of the gradient. Bernstein et al. 2018,
// Algorithm 2, arXiv:1802.04434.
//   m <- beta m + (1 - beta) g
//   w <- w - (lr weight_decay w + lr sign(m))
// The paper has no decay.
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct Signum {
  static constexpr Signature signature = {
      "signum", {state::average("m")}, {hyper::lr(1e-3), hyper::beta(0.9), hyper::weight_decay(0)}};
  double lr, beta, weight_decay;

  void operator()(T& w, T g, T& m) const {
    m = T(beta) * m + T(1 - beta) * g;
    w = w - (T(lr * weight_decay) * w + T(lr) * sign(m));
  }
};

}  // namespace
