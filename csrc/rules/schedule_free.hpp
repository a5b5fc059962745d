// Schedule-Free SGD and AdamW: the gradient is taken between the iterate z and its average x, at w. Defazio et al.
// 2024, Algorithm 1, arXiv:2405.15682.
//   u = g, or g / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay w  with  v <- beta2 v + (1 - beta2) g^2
//   z <- z - lr u
//   x <- x + c (z - x)
//   w <- (1 - beta) z + beta x
// Only w and z are kept: x = z + (w - z) / beta, and put in,  w <- w - (c (w - z) + lr (1 - beta (1 - c)) u)
// with the former z. The weight c of the newest z is the caller's.
#pragma once
#include "kernel/math.hpp"

namespace {

constexpr State iterate = {"z", Shape::weight, true};
constexpr Hyper z_weight = {"z_weight", 1, Domain::non_negative};

template <class T>
struct ScheduleFreeSGD {
  static constexpr Signature signature = {
      "schedule_free_sgd", {iterate}, {hyper::lr(1), hyper::momentum(0.9), z_weight}};
  double lr, beta, c;

  void operator()(T& w, T g, T& z) const {
    w = w - (T(c) * (w - z) + T(lr * (1 - beta * (1 - c))) * g);
    z = z - T(lr) * g;
  }
};

template <class T>
struct ScheduleFreeAdamW {
  static constexpr Signature signature = {
      "schedule_free_adamw",
      {iterate, state::square("v")},
      {hyper::lr(2.5e-3), hyper::beta1(), z_weight, hyper::beta2(), hyper::eps(), hyper::t, hyper::weight_decay(0)}};
  double lr, beta, c, beta2, eps, t, weight_decay;
  T unbias = T(1 / (1 - power(beta2, t)));

  void operator()(T& w, T g, T& z, T& v) const {
    v = T(beta2) * v + T(1 - beta2) * (g * g);
    const T u = g / (root(unbias * v) + T(eps)) + T(weight_decay) * w;
    w = w - (T(c) * (w - z) + T(lr * (1 - beta * (1 - c))) * u);
    z = z - T(lr) * u;
  }
};

}  // namespace
