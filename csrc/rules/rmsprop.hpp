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
      "rmsprop", {state::square("v")}, {hyper::lr(1e-2), hyper::beta(0.99), hyper::eps(), hyper::eps_root()}};
  double lr, beta, eps, eps_root, momentum = 0;  // which two variants have

  T scale(T g, T& v) const {
    v = T(beta) * v + T(1 - beta) * (g * g);
    return root(v + T(eps_root)) + T(eps);
  }
  T scale(T g, T& v, T& m) const {
    v = T(beta) * v + T(1 - beta) * (g * g);
    m = T(beta) * m + T(1 - beta) * g;
    return root(larger(v - m * m, T(0)) + T(eps_root)) + T(eps);
  }

  void operator()(T& w, T g, T& v) const { w = w - T(lr) * g / scale(g, v); }
};

template <class T>
struct RMSPropCentered : RMSProp<T> {
  static constexpr Signature signature = variant(state::exact(RMSProp<T>::signature), "rmsprop_centered", State{"m"});

  void operator()(T& w, T g, T& v, T& m) const { w = w - T(this->lr) * g / this->scale(g, v, m); }
};

template <class T>
struct RMSPropMomentum : RMSProp<T> {
  static constexpr Signature signature =
      variant(RMSProp<T>::signature, "rmsprop_momentum", state::average("b"), hyper::momentum());

  void operator()(T& w, T g, T& v, T& b) const {
    b = T(this->momentum) * b + g / this->scale(g, v);
    w = w - T(this->lr) * b;
  }
};

template <class T>
struct RMSPropCenteredMomentum : RMSProp<T> {
  static constexpr Signature signature =
      variant(RMSPropCentered<T>::signature, "rmsprop_centered_momentum", state::average("b"), hyper::momentum());

  void operator()(T& w, T g, T& v, T& m, T& b) const {
    b = T(this->momentum) * b + g / this->scale(g, v, m);
    w = w - T(this->lr) * b;
  }
};

}  // namespace
