// Muon: momentum whose matrix is made nearly orthogonal. Jordan et al. 2024, "Muon: An optimizer for hidden layers in
// neural networks".
//   m <- momentum m + (1 - momentum) g
//   u = (1 - momentum) g + momentum m       Nesterov's; without, u = m
//   u <- Newton-Schulz(u)                   matrix products: muon.py
//   w <- w - (lr weight_decay w + lr u)     the rule SGD
// As torch, m is a running average; the author's first version sums. Here are the first two lines, which leave w alone;
// a step checks all that it takes before them, hence the hyper-parameters of the last one.
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct Muon {
  static constexpr Signature signature = {
      "muon", {{"m"}, {"u", Shape::scratch}}, {hyper::lr(1e-3), hyper::momentum(0.95), hyper::weight_decay(0.1)}};
  double lr, momentum, weight_decay;

  void operator()(T, T g, T& m, T& u) const {
    m = T(momentum) * m + T(1 - momentum) * g;
    u = T(1 - momentum) * g + T(momentum) * m;
  }
};

}  // namespace
