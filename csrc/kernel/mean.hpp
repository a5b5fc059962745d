// The mean of gradients that lie apart, as those of several processes do: a sum in a balanced tree, in one pass.
//   ((x0 + x1) + (x2 + x3)) / count
//
// What 2^k of them add up to does not depend on who has added them: another process may have summed any half.
#pragma once

#include "math.hpp"

namespace {

using fusedoptim::Share;

constexpr std::size_t mean_tile = 512;

// Of up to a tile of each, from `offset` on.
template <class T>
void sum_in_tree(const T* const* x, std::size_t k, std::size_t offset, std::size_t n, T* __restrict sum) {
  if (k == 1) {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) sum[i] = x[0][offset + i];
    return;
  }
  if (k == 2) {
    const T *const a = x[0] + offset, *const b = x[1] + offset;
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) sum[i] = a[i] + b[i];
    return;
  }
  std::size_t half = 2;
  while (2 * half < k) half *= 2;
  T rest[mean_tile];
  sum_in_tree(x, half, offset, n, sum);
  sum_in_tree(x + half, k - half, offset, n, rest);
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) sum[i] = sum[i] + rest[i];
}

// `mean` may be one of the arrays.
template <class T>
void mean(const void* const* arrays, std::size_t k, Share share, double count, void* mean) {
  const auto* const x = reinterpret_cast<const T* const*>(arrays);
  const T divisor = T(count);
  T sum[mean_tile];
  for (std::size_t offset = share.offset, end = share.offset + share.n, n; offset < end; offset += n) {
    n = end - offset < mean_tile ? end - offset : mean_tile;
    sum_in_tree(x, k, offset, n, sum);
    T* const to = static_cast<T*>(mean) + offset;
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) to[i] = sum[i] / divisor;
  }
}

}  // namespace
