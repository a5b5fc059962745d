// LARS: momentum whose step in each tensor is relative to |w|. You et al. 2017, Algorithm 1, arXiv:1708.03888.
//   u = g + weight_decay w
//   m <- momentum m + lr trust_coefficient |w| / (|u| + eps) u
//   w <- w - m
// As in optax the ratio is 1, without the coefficient, where either norm is 0. The paper's denominator is
// |g| + weight_decay |w| in place of |u|.
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct LARS {
  static constexpr Signature signature = {"lars",
                                          {{"m"}},
                                          {hyper::lr(1e-2),
                                           hyper::momentum(0.9),
                                           hyper::weight_decay(0),
                                           {"trust_coefficient", 1e-3, Domain::non_negative},
                                           hyper::eps(0)}};
  double lr, momentum, weight_decay, trust_coefficient, eps;
  T factor = 0;

  T direction(T w, T g) const { return g + T(weight_decay) * w; }

  Terms<T, 2> measure(T w, T g, T) const { return {w, direction(w, g)}; }

  double settle(const Sums& sums, double, T*) const { return lr * trust_ratio(sums, 0, trust_coefficient, eps); }

  void operator()(T& w, T g, T& m) const {
    m = T(momentum) * m + factor * direction(w, g);
    w = w - m;
  }
};

// With Nesterov's look ahead:  w <- w - (momentum m + lr ratio u)
template <class T>
struct NesterovLARS : LARS<T> {
  static constexpr Signature signature = variant(LARS<T>::signature, "nesterov_lars");

  void operator()(T& w, T g, T& m) const {
    const T step = this->factor * this->direction(w, g);
    m = T(this->momentum) * m + step;
    w = w - (T(this->momentum) * m + step);
  }
};

}  // namespace
