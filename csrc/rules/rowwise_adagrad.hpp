// Row-wise Adagrad: one number for each row of an embedding table, the sum of the mean squares of its gradients. As
// EXACT_ROWWISE_ADAGRAD of FBGEMM (Khudia et al. 2021, arXiv:2101.05615); Adagrad: Duchi, Hazan & Singer 2011.
//   v <- v + mean(g^2)
//   w <- w - lr g / (sqrt(v) + eps)
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct RowWiseAdagrad {
  static constexpr Signature signature = {"rowwise_adagrad", {{"v", Shape::row}}, {hyper::lr(1e-2), hyper::eps()}};
  double lr, eps;
  T factor = 0;

  Terms<T, 1> measure(T, T g, Unused) const { return {g}; }

  double settle(const Sums& sums, double n, T* v) const {
    *v = T(double(*v) + sums.x[0] / n);
    return lr / (sqrt(double(*v)) + eps);
  }

  void operator()(T& w, T g, Unused) const { w = w - factor * g; }
};

}  // namespace
