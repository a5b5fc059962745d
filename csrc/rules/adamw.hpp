// AdamW: Adam with decoupled weight decay, scaled by lr. Loshchilov & Hutter 2019, Algorithm 2, arXiv:1711.05101.
//   w <- (1 - lr weight_decay) w, then Adam
#pragma once
#include "adam.hpp"

namespace {

template <class T>
struct AdamW : Adam<T> {
  static constexpr Signature signature = {"adamw",
                                          {{"m"}, {"v"}},
                                          {hyper::lr(1e-3), hyper::beta1(), hyper::beta2(), hyper::eps(),
                                           hyper::eps_root(), hyper::t, hyper::weight_decay(1e-2)}};
  T keep;

  AdamW(double lr, double beta1, double beta2, double eps, double eps_root, double t, double weight_decay)
      : Adam<T>(lr, beta1, beta2, eps, eps_root, t), keep(T(1 - lr * weight_decay)) {}

  void operator()(T& w, T g, T& m, T& v) const {
    w = keep * w;
    Adam<T>::operator()(w, g, m, v);
  }
};

}  // namespace
