// SGD: minibatch gradient descent. Robbins & Monro 1951, "A Stochastic Approximation Method".
//   w <- w - (lr weight_decay w + lr g)
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct SGD {
  static constexpr Signature signature = {"sgd", {}, {hyper::lr(1e-2), hyper::weight_decay(0)}};
  double lr, weight_decay;

  void operator()(T& w, T g) const { w = w - (T(lr * weight_decay) * w + T(lr) * g); }
};

}  // namespace
