// AMSGrad: Adam with the largest v so far, so that no step grows again. Reddi, Kale & Kumar 2018, arXiv:1904.09237.
//   m, v as in Adam
//   v_max <- max(v_max, v)
//   w <- w - lr m / (1 - beta1^t) / (sqrt(v_max / (1 - beta2^t) + eps_root) + eps)
// As in torch, the maximum is over v before its correction; optax's default takes it after. The paper corrects nothing.
#pragma once
#include "adam.hpp"

namespace {

template <class T>
struct AdamAMSGrad : Adam<T> {
  static constexpr Signature signature = {
      "adam_amsgrad",
      {{"m"}, {"v"}, {"v_max"}},
      {hyper::lr(1e-3), hyper::beta1(), hyper::beta2(), hyper::eps(), hyper::eps_root(), hyper::t}};
  using Adam<T>::Adam;

  void operator()(T& w, T g, T& m, T& v, T& v_max) const {
    this->average(g, m, v);
    v_max = larger(v_max, v);
    this->move(w, m, v_max);
  }
};

// With AdamW's decay.
template <class T>
struct AdamWAMSGrad : AdamAMSGrad<T> {
  static constexpr Signature signature = {"adamw_amsgrad",
                                          {{"m"}, {"v"}, {"v_max"}},
                                          {hyper::lr(1e-3), hyper::beta1(), hyper::beta2(), hyper::eps(),
                                           hyper::eps_root(), hyper::t, hyper::weight_decay(1e-2)}};
  T keep;

  AdamWAMSGrad(double lr, double beta1, double beta2, double eps, double eps_root, double t, double weight_decay)
      : AdamAMSGrad<T>(lr, beta1, beta2, eps, eps_root, t), keep(T(1 - lr * weight_decay)) {}

  void operator()(T& w, T g, T& m, T& v, T& v_max) const {
    w = keep * w;
    AdamAMSGrad<T>::operator()(w, g, m, v, v_max);
  }
};

}  // namespace
