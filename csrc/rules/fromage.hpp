// Fromage: steps of the length lr |w| in each tensor, and back to its sphere. Bernstein et al. 2020, Algorithm 1,
// arXiv:2002.03432.
//   w <- (w - lr |w| / |g| g) shrink = w - ((1 - shrink) w + shrink lr |w| / |g| g), with shrink = 1 / sqrt(1 + lr^2)
// As in optax, norms are at least min_norm, and the ratio is 1 where either is 0.
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct Fromage {
  static constexpr Signature signature = {"fromage", {}, {hyper::lr(1e-2), {"min_norm", 1e-6, Domain::non_negative}}};
  double lr, min_norm, shrink = 1 / sqrt(1 + lr * lr);
  T factor = 0;

  Terms<T, 2> measure(T w, T g) const { return {w, g}; }

  double settle(const Sums& sums, double, T*) const { return shrink * lr * trust_ratio(sums, min_norm); }

  void operator()(T& w, T g) const { w = w - (T(1 - shrink) * w + factor * g); }
};

}  // namespace
