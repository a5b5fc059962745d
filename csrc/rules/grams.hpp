// Grams: the length of Adam's step for each element, in the direction of the gradient. Cao et al. 2024,
// arXiv:2412.17107.
//   w <- (1 - lr weight_decay) w - sign(g) |Adam's step|
// As in Adam, eps is added after the bias correction; in the authors' code before it.
#pragma once
#include "adam.hpp"

namespace {

template <class T>
struct Grams : Adam<T> {
  static constexpr Signature signature = {"grams",
                                          {{"m"}, {"v"}},
                                          {hyper::lr(1e-3), hyper::beta1(), hyper::beta2(), hyper::eps(1e-6),
                                           hyper::eps_root(), hyper::t, hyper::weight_decay(0)}};
  T keep;

  Grams(double lr, double beta1, double beta2, double eps, double eps_root, double t, double weight_decay)
      : Adam<T>(lr, beta1, beta2, eps, eps_root, t), keep(T(1 - lr * weight_decay)) {}

  void operator()(T& w, T g, T& m, T& v) const {
    T u = 0;
    Adam<T>::operator()(u, g, m, v);
    w = keep * w - sign(g) * absolute(u);
  }
};

}  // namespace
