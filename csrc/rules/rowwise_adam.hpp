// Row-wise Adam: one v for each row of an embedding table, of the mean square of its gradient. As PARTIAL_ROWWISE_ADAM
// of FBGEMM (Khudia et al. 2021, arXiv:2101.05615); Adam: Kingma & Ba 2015, arXiv:1412.6980.
//   m <- beta1 m + (1 - beta1) g
//   v <- beta2 v + (1 - beta2) mean(g^2)
//   w <- w - (lr weight_decay w + lr m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps))
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct RowWiseAdam {
  static constexpr Signature signature = {
      "rowwise_adam",
      {{"m"}, {"v", Shape::row}},
      {hyper::lr(1e-3), hyper::beta1(), hyper::beta2(), hyper::eps(), hyper::t, hyper::weight_decay(0)}};
  double lr, beta1, beta2, eps, t, weight_decay;
  double rate = lr / (1 - power(beta1, t)), unbias = 1 / (1 - power(beta2, t));
  T factor = 0;

  Terms<T, 1> measure(T, T g, T, Unused) const { return {g}; }

  double settle(const Sums& sums, double n, T* v) const {
    *v = T(beta2 * double(*v) + (1 - beta2) * (sums.x[0] / n));
    return rate / (sqrt(unbias * double(*v)) + eps);
  }

  void operator()(T& w, T g, T& m, Unused) const {
    m = T(beta1) * m + T(1 - beta1) * g;
    w = w - (T(lr * weight_decay) * w + factor * m);
  }
};

}  // namespace
