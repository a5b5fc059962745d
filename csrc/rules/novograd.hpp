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
  double lr, beta1, beta2, eps, eps_root, t, weight_decay;
  T factor = 0;

  Terms<T, 1> measure(T, T g, T, Unused) const { return {g}; }

  double settle(const Sums& sums, double, T* v) const {
    const double decay = t > 1 ? beta2 : 0;
    *v = T(decay * *v + (1 - decay) * sums.x[0]);
    return 1 / (sqrt(*v + eps_root) + eps);
  }

  void operator()(T& w, T g, T& m, Unused) const {
    m = T(beta1) * m + (factor * g + T(weight_decay) * w);
    w = w - T(lr) * m;
  }
};

}  // namespace
