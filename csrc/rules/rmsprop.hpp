// RMSProp: the gradient over the root of the running average of its square. Tieleman & Hinton 2012, lecture 6.5.
//   v <- beta v + (1 - beta) g^2
//   w <- w - lr g / (sqrt(v + eps_root) + eps)
// Centered, Graves 2013, arXiv:1308.0850: over the standard deviation instead; rounding must not make it negative.
//   m <- beta m + (1 - beta) g
//   max(v - m^2, 0) in place of v
// With momentum, as torch has it, the steps are summed:
//   b <- momentum b + g / (sqrt(v + eps_root) + eps)
//   w <- w - lr b
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct RMSProp {
  static constexpr Signature signature = {
      "rmsprop", {{"v"}}, {hyper::lr(1e-2), hyper::beta(0.99), hyper::eps(), hyper::eps_root()}};
  T lr, beta, rest, eps, eps_root;

  RMSProp(double lr, double beta, double eps, double eps_root)
      : lr(T(lr)), beta(T(beta)), rest(T(1 - beta)), eps(T(eps)), eps_root(T(eps_root)) {}

  T scale(T g, T& v) const {
    v = beta * v + rest * (g * g);
    return root(v + eps_root) + eps;
  }
  T scale(T g, T& v, T& m) const {
    v = beta * v + rest * (g * g);
    m = beta * m + rest * g;
    return root(larger(v - m * m, T(0)) + eps_root) + eps;
  }

  void operator()(T& w, T g, T& v) const { w = w - lr * g / scale(g, v); }
};

template <class T>
struct RMSPropCentered : RMSProp<T> {
  static constexpr Signature signature = {
      "rmsprop_centered", {{"v"}, {"m"}}, {hyper::lr(1e-2), hyper::beta(0.99), hyper::eps(), hyper::eps_root()}};
  using RMSProp<T>::RMSProp;

  void operator()(T& w, T g, T& v, T& m) const { w = w - this->lr * g / this->scale(g, v, m); }
};

template <class T>
struct RMSPropMomentum : RMSProp<T> {
  static constexpr Signature signature = {
      "rmsprop_momentum",
      {{"v"}, {"b"}},
      {hyper::lr(1e-2), hyper::beta(0.99), hyper::eps(), hyper::eps_root(), hyper::momentum()}};
  T momentum;

  RMSPropMomentum(double lr, double beta, double eps, double eps_root, double momentum)
      : RMSProp<T>(lr, beta, eps, eps_root), momentum(T(momentum)) {}

  void operator()(T& w, T g, T& v, T& b) const {
    b = momentum * b + g / this->scale(g, v);
    w = w - this->lr * b;
  }
};

template <class T>
struct RMSPropCenteredMomentum : RMSPropMomentum<T> {
  static constexpr Signature signature = {
      "rmsprop_centered_momentum",
      {{"v"}, {"m"}, {"b"}},
      {hyper::lr(1e-2), hyper::beta(0.99), hyper::eps(), hyper::eps_root(), hyper::momentum()}};
  using RMSPropMomentum<T>::RMSPropMomentum;

  void operator()(T& w, T g, T& v, T& m, T& b) const {
    b = this->momentum * b + g / this->scale(g, v, m);
    w = w - this->lr * b;
  }
};

}  // namespace
