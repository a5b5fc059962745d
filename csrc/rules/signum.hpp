// Signum: steps of equal length along the sign of the running average of the gradient. Bernstein et al. 2018,
// Algorithm 2, arXiv:1802.04434.
//   m <- beta m + (1 - beta) g
//   w <- (1 - lr weight_decay) w - lr sign(m)
// The paper has no decay.
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct Signum {
  static constexpr Signature signature = {
      "signum", {{"m"}}, {hyper::lr(1e-3), hyper::beta(0.9), hyper::weight_decay(0)}};
  T lr, beta, rest, keep;

  Signum(double lr, double beta, double weight_decay)
      : lr(T(lr)), beta(T(beta)), rest(T(1 - beta)), keep(T(1 - lr * weight_decay)) {}

  void operator()(T& w, T g, T& m) const {
    m = beta * m + rest * g;
    w = keep * w - lr * sign(m);
  }
};

}  // namespace
