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
      {state::average("m"), state::square("v")},
      {hyper::lr(1e-3), hyper::beta1(), hyper::beta2(), hyper::eps(), {"t", 1, Domain::count}}};
  double lr, beta1, beta2, eps, t, weight_decay = 0;  // which the variant has
  double r = rectification(beta2, t);
  T rectified = T(r > 0);  // 1 or 0: by a bool, GCC would not choose in vectors
  T rate = T(lr / (1 - power(beta1, t)) * (r > 0 ? r : 1));

  T step(T g, T& m, T& v) const {
    m = T(beta1) * m + T(1 - beta1) * g;
    v = T(beta2) * v + T(1 - beta2) * (g * g);
    return rectified > 0 ? rate * m / (root(v) + T(eps)) : rate * m;
  }

  void operator()(T& w, T g, T& m, T& v) const { w = w - step(g, m, v); }
};

// With AdamW's decay.
template <class T>
struct RAdamDecoupled : RAdam<T> {
  static constexpr Signature signature = variant(RAdam<T>::signature, "radam_decoupled", hyper::weight_decay(0));

  void operator()(T& w, T g, T& m, T& v) const { w = w - (T(this->lr * this->weight_decay) * w + this->step(g, m, v)); }
};

}  // namespace
