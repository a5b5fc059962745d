// Adam: Kingma & Ba 2015, Algorithm 1, arXiv:1412.6980. t = inf leaves out the bias correction.
//   m <- beta1 m + (1 - beta1) g
//   v <- beta2 v + (1 - beta2) g^2
//   w <- w - lr m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t) + eps_root) + eps)
#pragma once
#include "kernel/math.hpp"

namespace {
template <class T>
struct Adam {
  static constexpr Signature signature = {
      "adam",
      {{"m"}, {"v"}},
      {hyper::lr(1e-3), hyper::beta1(), hyper::beta2(), hyper::eps(), hyper::eps_root(), hyper::t}};
  T lr, beta1, rest1, beta2, rest2, eps, eps_root, unbias;

  Adam(double lr, double beta1, double beta2, double eps, double eps_root, double t)
      : lr(T(lr / (1 - power(beta1, t)))), beta1(T(beta1)), rest1(T(1 - beta1)), beta2(T(beta2)), rest2(T(1 - beta2)),
        eps(T(eps)), eps_root(T(eps_root)), unbias(T(1 / (1 - power(beta2, t)))) {}

  void average(T g, T& m, T& v) const {
    m = beta1 * m + rest1 * g;
    v = beta2 * v + rest2 * (g * g);
  }
  void move(T& w, T m, T v) const { w = w - lr * m / (root(unbias * v + eps_root) + eps); }

  void operator()(T& w, T g, T& m, T& v) const {
    average(g, m, v);
    move(w, m, v);
  }
};
}  // namespace
