// Nesterov's momentum, looking one step ahead along the running average. Nesterov 1983, as Sutskever et al. 2013 write
// it and in the averaging form: torch's accumulating m is this one over 1 - beta.
//   m <- beta m + (1 - beta) g
//   w <- w - lr (beta m + (1 - beta) g)
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct Nesterov {
  static constexpr Signature signature = {"nesterov", {{"m"}}, {hyper::lr(1e-2), hyper::beta(0.9)}};
  T lr, beta, rest;

  Nesterov(double lr, double beta) : lr(T(lr)), beta(T(beta)), rest(T(1 - beta)) {}

  void operator()(T& w, T g, T& m) const {
    m = beta * m + rest * g;
    w = w - lr * (beta * m + rest * g);
  }
};

}  // namespace
