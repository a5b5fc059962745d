// Grams: the length of Adam's step for each element, in the direction of the gradient. Cao et al. 2024,
// arXiv:2412.17107.
//   w <- w - (lr weight_decay w + sign(g) |Adam's step|)
// As in Adam, eps is added after the bias correction; in the authors' code before it.
#pragma once
#include "adam.hpp"

namespace {

template <class T>
struct Grams : Adam<T> {
  static constexpr Signature signature = {"grams",
                                          {state::average("m"), state::square("v")},
                                          {hyper::lr(1e-3), hyper::beta1(), hyper::beta2(), hyper::eps(1e-6),
                                           hyper::eps_root(), hyper::t, hyper::weight_decay(0)}};

  void operator()(T& w, T g, T& m, T& v) const {
    this->average(g, m, v);
    w = w - (T(this->lr * this->weight_decay) * w + sign(g) * absolute(this->step(m, v)));
  }
};

}  // namespace
