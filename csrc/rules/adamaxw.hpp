// AdamaxW: Adamax (Kingma & Ba 2015, Algorithm 2, arXiv:1412.6980) with decoupled weight decay, scaled by lr.
//   m <- beta1 m + (1 - beta1) g
//   u <- max(beta2 u, |g| + eps)
//   w <- w - (lr weight_decay w + lr m / (1 - beta1^t) / u)
// As in torch and optax, eps is added to |g|; the paper has none.
#pragma once
#include "adamax.hpp"

namespace {

template <class T>
struct AdamaxW {
  static constexpr Signature signature = variant(Adamax<T>::signature, "adamaxw", hyper::weight_decay(1e-4));
  double lr, beta1, beta2, eps, t, weight_decay;
  T rate = T(lr / (1 - power(beta1, t)));

  void operator()(T& w, T g, T& m, T& u) const {
    m = T(beta1) * m + T(1 - beta1) * g;
    u = larger(T(beta2) * u, absolute(g) + T(eps));
    w = w - (T(lr * weight_decay) * w + rate * m / u);
  }
};

}  // namespace
