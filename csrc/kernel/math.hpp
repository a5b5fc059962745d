// What a rule is written with, besides + - * / and comparisons.
#pragma once

#include <math.h>

#include "../elementary.hpp"
#include "../table.hpp"

namespace {

using fusedoptim::Domain;
using fusedoptim::Hyper;
using fusedoptim::Moved;
using fusedoptim::Narrows;
using fusedoptim::Piece;
using fusedoptim::power;
using fusedoptim::Shape;
using fusedoptim::Signature;
using fusedoptim::State;
using fusedoptim::Sums;

// The hyper-parameters many rules have.
namespace hyper {
constexpr Hyper lr(double fallback) { return {"lr", fallback, Domain::non_negative}; }
constexpr Hyper beta(double fallback) { return {"beta", fallback, Domain::unit}; }
constexpr Hyper beta1(double fallback = 0.9) { return {"beta1", fallback, Domain::unit}; }    // of g's running average
constexpr Hyper beta2(double fallback = 0.999) { return {"beta2", fallback, Domain::unit}; }  // of that of its square
constexpr Hyper momentum(double fallback = 0.9) { return {"momentum", fallback, Domain::unit}; }
constexpr Hyper beta3(double fallback) { return {"beta3", fallback, Domain::unit}; }
constexpr Hyper weight_decay(double fallback) { return {"weight_decay", fallback, Domain::non_negative}; }
constexpr Hyper eps(double fallback = 1e-8) { return {"eps", fallback, Domain::non_negative}; }  // outside the root
constexpr Hyper eps_root(double fallback = 0) { return {"eps_root", fallback, Domain::non_negative}; }  // inside it
constexpr Hyper t = {"t", 1, Domain::step};
}  // namespace hyper

// States that may lie in few bits.
namespace state {
constexpr State average(const char* name) { return {name, Shape::weight, false, Narrows::any_sign}; }
constexpr State square(const char* name) { return {name, Shape::weight, false, Narrows::not_negative}; }

// The same states, none of which may: where a difference of them must not become negative.
constexpr Signature exact(Signature signature) {
  for (State& each : signature.state) each.narrows = Narrows::no;
  return signature;
}
}  // namespace state

template <class Item>
constexpr void append(Item* list, const Item& more) {
  while (list->name != nullptr) ++list;
  *list = more;
}
constexpr void add(Signature& signature, const State& more) { append(signature.state, more); }
constexpr void add(Signature& signature, const Hyper& more) { append(signature.hyper, more); }

// The signature of a variant, which keeps and takes the same, and what else is given.
template <class... More>
constexpr Signature variant(Signature signature, const char* name, const More&... more) {
  signature.name = name;
  (add(signature, more), ...);
  return signature;
}

inline float root(float x) { return sqrtf(x); }
inline double root(double x) { return sqrt(x); }
inline float absolute(float x) { return fabsf(x); }
inline double absolute(double x) { return fabs(x); }

// As NumPy's maximum, minimum and sign, of NaN too.
template <class T>
T larger(T a, T b) {
  return ((a >= b) | (a != a)) ? a : b;
}
template <class T>
T smaller(T a, T b) {
  return ((a <= b) | (a != a)) ? a : b;
}
template <class T>
T sign(T x) {
  return x > 0 ? T(1) : x < 0 ? T(-1) : x == 0 ? T(0) : x;
}

// x within [low, high]; NaN stays.
template <class T>
T clipped(T x, T low, T high) {
  const T raised = x < low ? low : x;
  return raised > high ? high : raised;
}

// coefficient |x_0| / (|x_1| + eps) with norms of at least min_norm, or 1 where either is 0.
inline double trust_ratio(const Sums& sums, double min_norm = 0, double coefficient = 1, double eps = 0) {
  const double above = larger(sqrt(sums.x[0]), min_norm), below = larger(sqrt(sums.x[1]), min_norm);
  return above > 0 && below > 0 ? coefficient * above / (below + eps) : 1;
}

// In place of an array that a pass does not need, such as a state that is one number for the whole tensor or row.
struct Unused {
  Unused() = default;
  template <class T>
  Unused(T) {}
};

// Numbers whose squares are summed over a tensor.
template <class T, int n>
struct Terms {
  static constexpr int count = n;
  T x[n];
};

}  // namespace
