// AMSGrad: Adam over the largest v so far. Reddi et al. 2018, Algorithm 2, arXiv:1904.09237, with the bias corrections
// of optax; t = inf leaves them out, as the paper does.
//   m <- beta1 m + (1 - beta1) g
//   v <- beta2 v + (1 - beta2) g^2
//   v_max <- max(v_max, v / (1 - beta2^t))
//   w <- w - lr m / (1 - beta1^t) / (sqrt(v_max + eps_root) + eps)
// torch takes the maximum before it corrects.
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct AMSGrad {
  static constexpr Signature signature = {
      "amsgrad",
      {state::average("m"), state::square("v"), {"v_max"}},
      {hyper::lr(1e-3), hyper::beta1(), hyper::beta2(), hyper::eps(), hyper::eps_root(), hyper::t}};
  double lr, beta1, beta2, eps, eps_root, t;
  T rate = T(lr / (1 - power(beta1, t))), unbias = T(1 / (1 - power(beta2, t)));

  void operator()(T& w, T g, T& m, T& v, T& v_max) const {
    m = T(beta1) * m + T(1 - beta1) * g;
    v = T(beta2) * v + T(1 - beta2) * (g * g);
    v_max = larger(v_max, unbias * v);
    w = w - rate * m / (root(v_max + T(eps_root)) + T(eps));
  }
};

}  // namespace
