// RAdam: Adam that waits until v is worth dividing by. Liu et al. 2020, Algorithm 2, arXiv:1908.03265.
//   m, v as in Adam
//   rho = rho_inf - 2 t beta2^t / (1 - beta2^t), with rho_inf = 2 / (1 - beta2) - 1: the number of gradients v averages
//   w <- w - lr m / (1 - beta1^t) r sqrt(1 - beta2^t) / (sqrt(v) + eps)   if rho > 5,
//        with r^2 = (rho - 4) (rho - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho)
//   w <- w - lr m / (1 - beta1^t)                                         otherwise
// As in torch, eps is added before v is corrected; optax adds it after. The paper begins at rho > 4.
#pragma once
#include "kernel/math.hpp"

namespace {

// r sqrt(1 - beta2^t), or 0 where v is not used yet.
inline double rectification(double beta2, double t) {
  const double rest = power(beta2, t), rho_inf = 2 / (1 - beta2) - 1, rho = rho_inf - 2 * t * rest / (1 - rest);
  const double above = (rho - 4) * (rho - 2) * rho_inf, below = (rho_inf - 4) * (rho_inf - 2) * rho;
  return rho > 5 ? sqrt(above / below * (1 - rest)) : 0;
}

template <class T>
struct RAdam {
  static constexpr Signature signature = {
      "radam",
      {{"m"}, {"v"}},
      {hyper::lr(1e-3), hyper::beta1(), hyper::beta2(), hyper::eps(), {"t", 1, Domain::count}}};
  T rectified;  // 1 or 0: by a bool, GCC would not choose in vectors
  T lr, beta1, rest1, beta2, rest2, eps;

  RAdam(double lr, double beta1, double beta2, double eps, double t)
      : rectified(T(rectification(beta2, t) > 0)),
        lr(T(lr / (1 - power(beta1, t)) * (rectified > 0 ? rectification(beta2, t) : 1))), beta1(T(beta1)),
        rest1(T(1 - beta1)), beta2(T(beta2)), rest2(T(1 - beta2)), eps(T(eps)) {}

  void operator()(T& w, T g, T& m, T& v) const {
    m = beta1 * m + rest1 * g;
    v = beta2 * v + rest2 * (g * g);
    w = w - (rectified > 0 ? lr * m / (root(v) + eps) : lr * m);
  }
};

// With AdamW's decay.
template <class T>
struct RAdamDecoupled : RAdam<T> {
  static constexpr Signature signature = {
      "radam_decoupled",
      {{"m"}, {"v"}},
      {hyper::lr(1e-3), hyper::beta1(), hyper::beta2(), hyper::eps(), {"t", 1, Domain::count}, hyper::weight_decay(0)}};
  T keep;

  RAdamDecoupled(double lr, double beta1, double beta2, double eps, double t, double weight_decay)
      : RAdam<T>(lr, beta1, beta2, eps, t), keep(T(1 - lr * weight_decay)) {}

  void operator()(T& w, T g, T& m, T& v) const {
    w = keep * w;
    RAdam<T>::operator()(w, g, m, v);
  }
};

}  // namespace
