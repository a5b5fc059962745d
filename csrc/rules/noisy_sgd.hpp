// NoisySGD: SGD with normal noise on the gradient, whose variance falls. Neelakantan et al. 2015, arXiv:1511.06807.
//   w <- w - lr (g + sqrt(eta / t^gamma) noise)
// The caller fills `noise`, of variance 1, anew for each step. The paper's t begins at 0, and the variance is
// eta / (1 + t)^gamma.
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct NoisySGD {
  static constexpr Signature signature = {
      "noisy_sgd",
      {{"noise"}},
      {hyper::lr(1e-2), {"eta", 0.01, Domain::non_negative}, {"gamma", 0.55, Domain::non_negative}, hyper::t}};
  double lr, eta, gamma, t;
  T deviation = T(sqrt(eta * power(t, -gamma)));

  void operator()(T& w, T g, T noise) const { w = w - T(lr) * (g + deviation * noise); }
};

}  // namespace
