// NovoGrad: momentum of gradients over a running norm of their tensor. Ginsburg et al. 2019, Algorithm 1,
// arXiv:1905.11286.
//   v <- beta2 v + (1 - beta2) |g|^2, at first |g|^2
//   m <- beta1 m + g / (sqrt(v + eps_root) + eps) + weight_decay w
//   w <- w - lr m
// As in optax, what is added to m is not scaled by 1 - beta1, which the paper leaves open.
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct NovoGrad {
  static constexpr Signature signature = {"novograd",
                                          {{"m"}, {"v", Shape::tensor}},
                                          {hyper::lr(1e-3), hyper::beta1(), hyper::beta2(0.25), hyper::eps(1e-6),
                                           hyper::eps_root(), hyper::t, hyper::weight_decay(0)}};
  double beta2, eps, eps_root;
  T lr, beta1, weight_decay, factor = 0;

  NovoGrad(double lr, double beta1, double beta2, double eps, double eps_root, double t, double weight_decay)
      : beta2(t > 1 ? beta2 : 0), eps(eps), eps_root(eps_root), lr(T(lr)), beta1(T(beta1)),
        weight_decay(T(weight_decay)) {}

  Terms<T, 1> measure(T, T g, T, Unused) const { return {g}; }

  double settle(const Sums& sums, double, T* v) const {
    *v = T(beta2 * *v + (1 - beta2) * sums.x[0]);
    return 1 / (sqrt(*v + eps_root) + eps);
  }

  void operator()(T& w, T g, T& m, Unused) const {
    m = beta1 * m + (factor * g + weight_decay * w);
    w = w - lr * m;
  }
};

}  // namespace
