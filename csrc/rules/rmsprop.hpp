// RMSProp: the gradient over the root of the running average of its square. Tieleman & Hinton 2012, lecture 6.5.
//   v <- beta v + (1 - beta) g^2
//   w <- w - lr g / (sqrt(v + eps_root) + eps)
#pragma once
#include "math.hpp"

namespace {

template <class T>
struct RMSProp {
  static constexpr Signature signature = {
      "rmsprop", {{"v"}}, {hyper::lr(1e-2), hyper::beta(0.99), hyper::eps(), hyper::eps_root()}};
  T lr, beta, rest, eps, eps_root;

  RMSProp(double lr, double beta, double eps, double eps_root)
      : lr(T(lr)), beta(T(beta)), rest(T(1 - beta)), eps(T(eps)), eps_root(T(eps_root)) {}

  void operator()(T& w, T g, T& v) const {
    v = beta * v + rest * (g * g);
    w = w - lr * g / (root(v + eps_root) + eps);
  }
};

}  // namespace
