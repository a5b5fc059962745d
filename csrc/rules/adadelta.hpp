// Adadelta: the running root mean square of the past steps over that of the gradient. Zeiler 2012, arXiv:1212.5701.
//   v <- rho v + (1 - rho) g^2
//   step = sqrt(d + eps) / sqrt(v + eps) g
//   d <- rho d + (1 - rho) step^2
//   w <- w - lr step
// The paper has no lr: it is 1.
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct Adadelta {
  static constexpr Signature signature = {"adadelta",
                                          {state::square("v"), state::square("d")},
                                          {hyper::lr(1), {"rho", 0.9, Domain::unit}, hyper::eps(1e-6)}};
  double lr, rho, eps;

  void operator()(T& w, T g, T& v, T& d) const {
    v = T(rho) * v + T(1 - rho) * (g * g);
    const T step = root(d + T(eps)) / root(v + T(eps)) * g;
    d = T(rho) * d + T(1 - rho) * (step * step);
    w = w - T(lr) * step;
  }
};

}  // namespace
