// Sums and maxima in a fixed shape: 32 lanes that are folded at the end, with every instruction set.
#pragma once
#include "math.hpp"

namespace {

constexpr std::size_t lanes = 32;

// Half of the lanes that n numbers reach: the rest are zero, and folding them in would change nothing.
inline std::size_t first_half(std::size_t n) {
  std::size_t half = lanes / 2;
  while (half >= n && half > 0) half /= 2;
  return half;
}

// The sums of the squares of terms(0) ... terms(n - 1).
template <class Terms>
Sums sum_in_lanes(std::size_t n, Terms terms) {
  constexpr int count = decltype(terms(0))::count;
  alignas(64) double sum[count][lanes] = {};
  const auto add = [&](std::size_t lane, auto each) {
    for (int k = 0; k < count; ++k) sum[k][lane] += double(each.x[k]) * double(each.x[k]);
  };
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes)
#pragma omp simd
    for (std::size_t lane = 0; lane < lanes; ++lane) add(lane, terms(i + lane));
  for (std::size_t lane = 0; i + lane < n; ++lane) add(lane, terms(i + lane));
  Sums total;
  for (int k = 0; k < count; ++k) {
    for (std::size_t half = first_half(n); half > 0; half /= 2)
      for (std::size_t lane = 0; lane < half; ++lane) sum[k][lane] += sum[k][lane + half];
    total.x[k] = sum[k][0];
  }
  return total;
}

// The largest of n numbers >= 0, or NaN if there is one.
template <class T>
T largest(std::size_t n, const T* x) {
  alignas(64) T most[lanes] = {};
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes)
#pragma omp simd
    for (std::size_t lane = 0; lane < lanes; ++lane) most[lane] = larger(most[lane], x[i + lane]);
  for (std::size_t lane = 0; i + lane < n; ++lane) most[lane] = larger(most[lane], x[i + lane]);
  for (std::size_t half = first_half(n); half > 0; half /= 2)
    for (std::size_t lane = 0; lane < half; ++lane) most[lane] = larger(most[lane], most[lane + half]);
  return most[0];
}

}  // namespace
