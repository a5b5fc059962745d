// SignSGD: steps of equal length along the sign of the gradient. Bernstein et al. 2018, Algorithm 1, arXiv:1802.04434.
//   w <- w - (lr weight_decay w + lr sign(g))
// The paper has no decay.
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct SignSGD {
  static constexpr Signature signature = {"sign_sgd", {}, {hyper::lr(1e-3), hyper::weight_decay(0)}};
  double lr, weight_decay;

  void operator()(T& w, T g) const { w = w - (T(lr * weight_decay) * w + T(lr) * sign(g)); }
};

}  // namespace
