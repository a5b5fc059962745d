// Adagrad: the gradient over the root of the sum of its squares. Duchi, Hazan & Singer 2011, JMLR 12, diagonal form.
//   v <- v + g^2
//   w <- w - lr / (1 + (t - 1) lr_decay) g / (sqrt(v + eps_root) + eps)
// torch adds eps outside the root and has lr_decay, optax adds it inside.
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct Adagrad {
  static constexpr Signature signature = {"adagrad",
                                          {{"v"}},
                                          {hyper::lr(1e-2),
                                           {"lr_decay", 0, Domain::non_negative},
                                           hyper::eps(1e-10),
                                           hyper::eps_root(),
                                           {"t", 1, Domain::count}}};
  double lr, lr_decay, eps, eps_root, t;

  void operator()(T& w, T g, T& v) const {
    v = v + g * g;
    w = w - T(lr / (1 + (t - 1) * lr_decay)) * g / (root(v + T(eps_root)) + T(eps));
  }
};

}  // namespace
