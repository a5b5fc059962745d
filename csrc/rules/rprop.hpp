// Rprop: each weight has a step of its own, which grows while the sign of its gradient stays. Riedmiller & Braun 1993;
// the variant without a step back where the sign changes, Rprop- with the gradient set to 0 (iRprop-, Igel & Huesken
// 2000), as torch has it.
//   step <- eta_plus step, eta_minus step or step, where g prev > 0, < 0 or = 0; within step_min and step_max
//   prev <- 0 where g prev < 0, else g
//   w <- w - step sign(prev)
// The signs are multiplied, for a product of gradients could underflow. A step of 0 has not begun, and begins at lr.
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct Rprop {
  static constexpr Signature signature = {"rprop",
                                          {{"prev"}, {"step"}},
                                          {hyper::lr(1e-2),
                                           {"eta_minus", 0.5, Domain::unit},
                                           {"eta_plus", 1.2, Domain::positive},
                                           {"step_min", 1e-6, Domain::positive},
                                           {"step_max", 50, Domain::positive}}};
  double lr, eta_minus, eta_plus, step_min, step_max;

  void operator()(T& w, T g, T& prev, T& step) const {
    const T agree = sign(g) * sign(prev);
    step = step == 0 ? T(lr) : step;
    step = clipped((agree > 0 ? T(eta_plus) : agree < 0 ? T(eta_minus) : T(1)) * step, T(step_min), T(step_max));
    prev = agree < 0 ? T(0) : g;
    w = w - step * sign(prev);
  }
};

}  // namespace
