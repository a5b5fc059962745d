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

// The bits of a number as a bfloat16 in the upper half; the lower is what was rounded off.
inline u32 rounded(float x, u32 added) { return x == x ? bits_of(x) + added : quiet_nan; }
inline u32 for_nearest(float x) { return 0x7fff + ((bits_of(x) >> 16) & 1); }  // ties to even

// Of a word of random bits the weight and two states take 16 each, from these on.
constexpr int random_shifts[] = {16, 0, 8};

using Word __attribute__((may_alias, aligned(1))) = u32;

// An argument of a rule as an array of bfloat16, of which two neighbours are a word, that is moved by shifts alone. A
// number is rounded to nearest, or with 16 of the random bits of its element, from `shift` on.
template <class A, int shift, bool at_random>
struct Halves {
  Word* words;
  float lower(std::size_t i) const { return float_of(words[i] << 16); }
  float upper(std::size_t i) const { return float_of(words[i] & 0xffff0000); }
  void store(std::size_t i, float low, float up, u32 random_low, u32 random_up) const {
    if constexpr (std::is_reference_v<A>) words[i] = (kept(low, random_low) >> 16) | (kept(up, random_up) & 0xffff0000);
  }
  static u32 kept(float x, u32 random) { return rounded(x, at_random ? (random >> shift) & 0xffff : for_nearest(x)); }
};

struct GradientHalves {
  const Word* words;
  float scale;
  float lower(std::size_t i) const { return scale * float_of(words[i] << 16); }
  float upper(std::size_t i) const { return scale * float_of(words[i] & 0xffff0000); }
  void store(std::size_t, float, float, u32, u32) const {}
};

}  // namespace
