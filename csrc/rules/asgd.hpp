// ASGD: gradient descent with a falling rate, and the average of its weights. Polyak & Juditsky 1992, in Bottou's form.
//   eta = lr slowdown, with slowdown = (1 + lambd lr s)^-alpha after s steps
//   w <- w - (lambd eta w + eta g)
//   ax <- ax + mu (w - ax), with mu = 1 / max(1, s - t0)
#pragma once
#include "kernel/math.hpp"

namespace {

template <class T>
struct ASGD {
  static constexpr Signature signature = {"asgd",
                                          {{"ax"}},
                                          {hyper::lr(1e-2),
                                           {"lambd", 1e-4, Domain::non_negative},
                                           {"slowdown", 1, Domain::non_negative},
                                           {"mu", 1, Domain::non_negative}}};
  double lr, lambd, slowdown, mu;
  // 0 where ax is a copy of w, even where it was infinite, else 1: by a bool, GCC would not choose in vectors
  T averages = T(mu != 1);

  void operator()(T& w, T g, T& ax) const {
    w = w - (T(lambd * (lr * slowdown)) * w + T(lr * slowdown) * g);
    ax = averages > 0 ? ax + T(mu) * (w - ax) : w;
  }
};

}  // namespace
