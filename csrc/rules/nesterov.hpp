// Nesterov's momentum, looking one step ahead along the running average. Nesterov 1983, as Sutskever et al. 2013 write
// it and in the averaging form: torch's accumulating m is this one over 1 - beta.
//   m <- beta m + (1 - beta) g
//   w <- w - lr (beta m + (1 - beta) g)
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct Nesterov {
  static constexpr Signature signature = {"nesterov", {state::average("m")}, {hyper::lr(1e-2), hyper::beta(0.9)}};
  double lr, beta;

  void operator()(T& w, T g, T& m) const {
    m = T(beta) * m + T(1 - beta) * g;
    w = w - T(lr) * (T(beta) * m + T(1 - beta) * g);
  }
};

}  // namespace
