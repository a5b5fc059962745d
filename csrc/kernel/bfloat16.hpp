// bfloat16, the upper half of a float32, and a loop over arrays of it alone: where memory is the bound, its tiles would
// be.
#pragma once

#include <string.h>

#include <cstdint>
#include <type_traits>

#include "../noise.hpp"

namespace {

using fusedoptim::Key;
using u16 = std::uint16_t;
using u32 = std::uint32_t;

constexpr u32 quiet_nan = 0x7fc00000, infinity = 0x7f800000;

inline u32 bits_of(float x) {
  u32 u;
  memcpy(&u, &x, sizeof u);
  return u;
}

inline float float_of(u32 u) {
  float x;
  memcpy(&x, &u, sizeof x);
  return x;
}

inline float of_bfloat16(u16 h) { return float_of(u32(h) << 16); }

inline u16 cut_off(float x, u32 added) { return u16((x == x ? bits_of(x) + added : quiet_nan) >> 16); }

inline u16 to_nearest(float x) { return cut_off(x, 0x7fff + ((bits_of(x) >> 16) & 1)); }  // ties to even

// Of a word of random bits the weight and two states take 16 each, from these on.
constexpr int random_shifts[] = {16, 0, 8};

// An argument of a rule as an array of bfloat16, of which a number is rounded to nearest, or with 16 of the random bits
// of its element, from `shift` on. (The compiler makes the bits of an element once for all arrays.)
template <class A, int shift, bool at_random>
struct Half {
  u16* x;
  Key key;
  u32 first;
  float load(std::size_t i) const { return of_bfloat16(x[i]); }
  void store(std::size_t i, float value) const {
    if constexpr (std::is_reference_v<A> && at_random)
      x[i] = cut_off(value, (random_bits(first + u32(i), key) >> shift) & 0xffff);
    else if constexpr (std::is_reference_v<A>)
      x[i] = to_nearest(value);
  }
};

struct HalfGradient {
  const u16* g;
  float scale;
  float load(std::size_t i) const { return scale * of_bfloat16(g[i]); }
  void store(std::size_t, float) const {}
};

}  // namespace
