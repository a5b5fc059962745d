// How numbers lie in memory where they are not float32: what loads a tile of them and what stores one. A rule sees
// float32, and never knows.
//
//   bfloat16   the upper half of a float32
//   float16    IEEE 754's binary16
//   split      a bfloat16, to nearest with ties away from zero, and 16 bits that make it the exact float32 again
//   e4m3       sign, 4 bits of exponent and 3 of mantissa, below the largest number of a block
//   e5m3       5 and 3, of numbers >= 0, of which only a zero becomes 0
//
// `random` has 32 bits for each number; of them a store takes 16, from `shift` on. Without it, it rounds to nearest.
#pragma once

#include "bfloat16.hpp"
#include "math.hpp"

namespace {

using fusedoptim::Format;
using fusedoptim::Stored;
using u8 = std::uint8_t;
using i16 = std::int16_t;
using i32 = std::int32_t;

// Calls each(i, r) with the 16 bits of number i.
template <class Each>
void with_random(std::size_t n, const Stored& at, const Each& each) {
  const u32* const random = at.random;
  const int shift = at.shift;
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) each(i, (random[i] >> shift) & 0xffff);
}

// Numbers of 16 bits, each of which means a float32 by itself.
template <float (*meaning)(u16)>
void load_halves(const Stored& at, std::size_t n, float* x) {
  const u16* const h = static_cast<const u16*>(at.array);
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) x[i] = meaning(h[i]);
}

// bfloat16

inline void store_bfloat16(const Stored& at, std::size_t n, const float* x) {
  u16* const h = static_cast<u16*>(at.array);
  if (at.random != nullptr)
    return with_random(n, at, [=](std::size_t i, u32 r) { h[i] = u16(rounded(x[i], r) >> 16); });
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) h[i] = u16(rounded(x[i], for_nearest(x[i])) >> 16);
}

// float16, by integers: no step meets a subnormal float32, which a run flushes

inline float of_float16(u16 h) {
  const u32 sign = u32(h & 0x8000) << 16, body = u32(h & 0x7fff) << 13;   // exponent and mantissa in place
  const float tiny = float_of(body + 0x38800000) - float_of(0x38800000);  // of a subnormal half: exact
  const u32 finite = body < 0x00800000 ? bits_of(tiny) : body + ((127 - 15) << 23);
  return float_of(sign | (body >= 0x0f800000 ? body + 0x70000000 : finite));
}

// `normal` and `tiny` are what a number becomes that is, or is not, normal as a half.
inline u16 half_of(u32 u, u32 normal, u32 tiny) {
  const u32 a = u & 0x7fffffff, finite = a < 0x38800000 ? tiny : normal;
  return u16(((u >> 16) & 0x8000) | (a > infinity ? 0x7e00 : a >= 0x47800000 ? 0x7c00 : finite));
}

inline void store_float16(const Stored& at, std::size_t n, const float* x) {
  u16* const h = static_cast<u16*>(at.array);
  constexpr u32 bias = (127 - 15) << 23;
  if (at.random != nullptr)
    return with_random(n, at, [=](std::size_t i, u32 r) {
      const u32 u = bits_of(x[i]), a = u & 0x7fffffff;
      const float unit = float_of(a < 0x38800000 ? a : 0) * 0x1p24f;  // in units of the smallest half
      h[i] = half_of(u, (a - bias + (r >> 3)) >> 13, u32(i32(unit + float(i32(r >> 3)) * 0x1p-13f)));
    });
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) {
    const u32 u = bits_of(x[i]), a = u & 0x7fffffff;
    const u32 tiny = bits_of(float_of(a) + 0.5f) - bits_of(0.5f);  // rounds to a multiple of 2^-24
    h[i] = half_of(u, (a - bias + 0xfff + ((a >> 13) & 1)) >> 13, tiny);
  }
}

// split: ties away from zero, for between two even ones the remainder could not tell

inline void load_split(const Stored& at, std::size_t n, float* x) {
  const u16* const high = static_cast<const u16*>(at.array);
  const i16* const low = static_cast<const i16*>(at.more);
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) x[i] = float_of((u32(high[i]) << 16) + u32(i32(low[i])));
}

inline void store_split(const Stored& at, std::size_t n, const float* x) {
  u16* const high = static_cast<u16*>(at.array);
  i16* const low = static_cast<i16*>(at.more);
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) {
    const u32 u = x[i] == x[i] ? bits_of(x[i]) : quiet_nan;
    high[i] = u16((u + 0x8000) >> 16);
    low[i] = i16(u16(u));
  }
}

// Blocks of 256 with a scale, the power of two of the largest number: a code counts the steps of 3 bits of mantissa
// from the smallest number that the exponents below it reach. Element j + 64 k of a block is byte 4 j + k: four of them
// are a word that is moved by shifts alone. What a block has not, of the last one, is zero.

constexpr std::size_t block = fusedoptim::block, quarter = block / 4;
constexpr int mantissa = 3, cut = 23 - mantissa;

template <int exponent>
constexpr i32 most_code = (1 << (exponent + mantissa)) - 1;

// What the exponents begin at, below `top`, that of the scale.
template <int exponent>
u32 base_of(u32 top) {
  return (top - ((1 << exponent) - 1)) << 23;
}

// The exponent of the scale: a binade more where the largest would round out of its own.
template <int exponent>
u32 top_of(const float* x) {
  u32 most = 0;
  for (std::size_t i = 0; i < block; ++i) {  // with `omp simd` GCC would fold its lanes one by one
    const u32 a = bits_of(x[i]) & 0x7fffffff;
    most = a > most ? a : most;
  }
  if (most >= infinity) return infinity >> 23;
  const u32 top = (most + (1u << cut) - 1) >> 23;
  return top > (1u << exponent) ? top : 1u << exponent;
}

template <int exponent, bool is_signed>
void load_block(const Stored& at, std::size_t, float* x) {
  const Word* const words = static_cast<const Word*>(at.array);
  const u32 scale = bits_of(*static_cast<const float*>(at.more)), base = base_of<exponent>(scale >> 23);
  const u32 nan = scale >= infinity ? quiet_nan : 0;
#pragma omp simd
  for (std::size_t j = 0; j < quarter; ++j) {
    const auto number = [=](u32 byte) {
      const u32 code = is_signed ? byte & 0x7f : byte, sign = is_signed ? (byte & 0x80) << 24 : 0;
      return float_of(nan | (code == 0 ? 0 : ((code << cut) + base) | sign));
    };
    const u32 word = words[j];
    x[j] = number(word & 0xff), x[j + quarter] = number((word >> 8) & 0xff);
    x[j + 2 * quarter] = number((word >> 16) & 0xff), x[j + 3 * quarter] = number(word >> 24);
  }
}

// Calls code(i) for the numbers of a block, whose codes lie in quarters.
template <class Code>
void each_code(Word* words, const Code& code) {
#pragma omp simd
  for (std::size_t j = 0; j < quarter; ++j)
    words[j] = code(j) | code(j + quarter) << 8 | code(j + 2 * quarter) << 16 | code(j + 3 * quarter) << 24;
}

// The code of a number in bits, of which `up` rounds those that are cut off.
template <int exponent, bool is_signed>
u32 code_of(u32 u, u32 up, u32 base) {
  const u32 a = u & 0x7fffffff;
  const i32 steps = i32(a + up - base) >> cut, least = is_signed ? 0 : a != 0;
  return u32(clipped(steps, least, most_code<exponent>)) | (is_signed ? u >> 31 << 7 : 0);
}

template <int exponent, bool is_signed>
void store_block(const Stored& at, std::size_t, const float* x) {
  Word* const words = static_cast<Word*>(at.array);
  const u32 top = top_of<exponent>(x), base = base_of<exponent>(top);
  const bool is_nan = top == infinity >> 23;
  *static_cast<float*>(at.more) = float_of(is_nan ? quiet_nan : top << 23);
  if (is_nan) return void(memset(words, 0, block));
  const u32* const random = at.random;
  const int shift = at.shift;
  if (random != nullptr)
    return each_code(words, [=](std::size_t i) {
      return code_of<exponent, is_signed>(bits_of(x[i]), ((random[i] >> shift) & 0xffff) << (cut - 16), base);
    });
  each_code(words, [=](std::size_t i) {
    const u32 u = bits_of(x[i]);
    return code_of<exponent, is_signed>(u, (1u << (cut - 1)) - 1 + ((u >> cut) & 1), base);  // ties to even
  });
}

// In the order of `Storage`.
constexpr Format formats[] = {
    {nullptr, nullptr},
    {load_halves<of_bfloat16>, store_bfloat16},
    {load_halves<of_float16>, store_float16},
    {load_split, store_split},
    {load_block<4, true>, store_block<4, true>},
    {load_block<5, false>, store_block<5, false>},
};

}  // namespace
