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
      {{"m"}, {"v"}, {"v_max"}},
      {hyper::lr(1e-3), hyper::beta1(), hyper::beta2(), hyper::eps(), hyper::eps_root(), hyper::t}};
  T lr, beta1, rest1, beta2, rest2, eps, eps_root, unbias;

  AMSGrad(double lr, double beta1, double beta2, double eps, double eps_root, double t)
      : lr(T(lr / (1 - power(beta1, t)))), beta1(T(beta1)), rest1(T(1 - beta1)), beta2(T(beta2)), rest2(T(1 - beta2)),
        eps(T(eps)), eps_root(T(eps_root)), unbias(T(1 / (1 - power(beta2, t)))) {}

  void operator()(T& w, T g, T& m, T& v, T& v_max) const {
    m = beta1 * m + rest1 * g;
    v = beta2 * v + rest2 * (g * g);
    v_max = larger(v_max, unbias * v);
    w = w - lr * m / (root(v_max + eps_root) + eps);
  }
};

}  // namespace
