// Schedule-Free SGD and AdamW: the gradient is taken between the iterate z and its average x, at w. Defazio et al.
// 2024, Algorithm 1, arXiv:2405.15682.
//   u = g, or g / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay w  with  v <- beta2 v + (1 - beta2) g^2
//   z <- z - lr u
//   x <- (1 - c) x + c z
//   w <- (1 - beta) z + beta x
// Only w and z are kept: x = (w - (1 - beta) z) / beta, and put in,  w <- (1 - c) w + c z - lr (1 - beta (1 - c)) u
// with the former z. The weight c of the newest z is the caller's.
#pragma once
#include "kernel/math.hpp"

namespace {

constexpr Hyper z_weight = {"z_weight", 1, Domain::non_negative};

template <class T>
struct Interpolation {
  T lr, c, rest, pull;

  Interpolation(double lr, double beta, double c)
      : lr(T(lr)), c(T(c)), rest(T(1 - c)), pull(T(lr * (1 - beta * (1 - c)))) {}

  void step(T& w, T u, T& z) const {
    w = rest * w + c * z - pull * u;
    z = z - lr * u;
  }
};

template <class T>
struct ScheduleFreeSGD : Interpolation<T> {
  static constexpr Signature signature = {"schedule_free_sgd", {{"z"}}, {hyper::lr(1), hyper::momentum(0.9), z_weight}};
  using Interpolation<T>::Interpolation;

  void operator()(T& w, T g, T& z) const { this->step(w, g, z); }
};

template <class T>
struct ScheduleFreeAdamW : Interpolation<T> {
  static constexpr Signature signature = {
      "schedule_free_adamw",
      {{"z"}, {"v"}},
      {hyper::lr(2.5e-3), hyper::beta1(), z_weight, hyper::beta2(), hyper::eps(), hyper::t, hyper::weight_decay(0)}};
  T beta2, rest2, eps, unbias, weight_decay;

  ScheduleFreeAdamW(double lr, double beta1, double c, double beta2, double eps, double t, double weight_decay)
      : Interpolation<T>(lr, beta1, c), beta2(T(beta2)), rest2(T(1 - beta2)), eps(T(eps)),
        unbias(T(1 / (1 - power(beta2, t)))), weight_decay(T(weight_decay)) {}

  void operator()(T& w, T g, T& z, T& v) const {
    v = beta2 * v + rest2 * (g * g);
    this->step(w, g / (root(unbias * v) + eps) + weight_decay * w, z);
  }
};

}  // namespace
