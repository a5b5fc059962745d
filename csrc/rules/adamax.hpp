// Adamax: Adam with a decaying maximum of |g| for the root of v. Kingma & Ba 2015, Algorithm 2, arXiv:1412.6980.
//   m <- beta1 m + (1 - beta1) g
//   u <- max(beta2 u, |g| + eps)
//   w <- w - lr / (1 - beta1^t) m / u
// As in torch and optax, eps is added to |g|; the paper has none.
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct Adamax {
  static constexpr Signature signature = {"adamax",
                                          {state::average("m"), {"u"}},
                                          {hyper::lr(2e-3), hyper::beta1(), hyper::beta2(), hyper::eps(), hyper::t}};
  double lr, beta1, beta2, eps, t;
  T rate = T(lr / (1 - power(beta1, t)));

  void operator()(T& w, T g, T& m, T& u) const {
    m = T(beta1) * m + T(1 - beta1) * g;
    u = larger(T(beta2) * u, absolute(g) + T(eps));
    w = w - rate * m / u;
  }
};

}  // namespace
