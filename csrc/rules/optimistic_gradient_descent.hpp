// Optimistic gradient descent: along the gradient expected next. Popov 1980; Mokhtari et al. 2019, arXiv:1901.08511,
// have alpha and beta as step sizes: here lr = alpha and optimism = beta / alpha.
//   w <- w - lr (g + optimism (g - prev)), with prev = g at t = 1
//   prev <- g
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct OptimisticGradientDescent {
  static constexpr Signature signature = {
      "optimistic_gradient_descent", {{"prev"}}, {hyper::lr(1e-2), {"optimism", 1, Domain::non_negative}, hyper::t}};
  double lr, optimism, t;
  T first = T(t == 1);  // 1 or 0: by a bool, GCC would not choose in vectors

  void operator()(T& w, T g, T& prev) const {
    const T d = first > 0 ? T(0) : g - prev;
    w = w - T(lr) * (g + T(optimism) * d);
    prev = g;
  }
};

}  // namespace
