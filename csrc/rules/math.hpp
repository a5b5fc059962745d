// What a rule is written with, besides + - * / and comparisons.
#pragma once

#include <math.h>

#include "../kernel.hpp"

namespace {

using fusedoptim::Domain;
using fusedoptim::Hyper;
using fusedoptim::Signature;

// The hyper-parameters many rules have.
namespace hyper {
constexpr Hyper lr(double fallback) { return {"lr", fallback, Domain::non_negative}; }
constexpr Hyper beta(double fallback) { return {"beta", fallback, Domain::unit}; }
constexpr Hyper beta1 = {"beta1", 0.9, Domain::unit};    // of the running average of the gradient
constexpr Hyper beta2 = {"beta2", 0.999, Domain::unit};  // of its square
constexpr Hyper weight_decay(double fallback) { return {"weight_decay", fallback, Domain::non_negative}; }
constexpr Hyper eps = {"eps", 1e-8, Domain::non_negative};         // outside the root
constexpr Hyper eps_root = {"eps_root", 0, Domain::non_negative};  // inside it
constexpr Hyper t = {"t", 1, Domain::step};
}  // namespace hyper

inline float root(float x) { return sqrtf(x); }
inline double root(double x) { return sqrt(x); }

// base^exponent for base < 1 and a whole exponent or inf, by repeated squaring: unlike pow(), the same bits with every
// C library.
inline double power(double base, double exponent) {
  if (exponent >= 0x1p63) return 0;
  double result = 1;
  for (auto n = static_cast<unsigned long long>(exponent); n > 0; n >>= 1, base *= base)
    if (n & 1) result *= base;
  return result;
}

// The gradients of the last steps: the sum of the earlier ones, oldest first, and where the newest one goes.
template <class T>
struct Past {
  T sum, newest;
};

}  // namespace
