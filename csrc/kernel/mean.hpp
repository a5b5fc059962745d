// The mean of gradients that lie apart, as those of several processes do: a sum in a balanced tree, in one pass.
//   ((x0 + x1) + (x2 + x3)) / count
//
// What 2^k of them add up to does not depend on who has added them: another process may have summed any half.
#pragma once

#include "formats.hpp"

namespace {

using fusedoptim::Share;
using fusedoptim::Storage;

constexpr std::size_t mean_tile = 512;

// Up to a tile of one, from `offset` on.
template <class T>
void load_tile(const void* x, Storage storage, std::size_t offset, std::size_t n, T* __restrict to) {
  if constexpr (sizeof(T) == sizeof(float)) {
    auto* const narrow = static_cast<u16*>(const_cast<void*>(x)) + offset;
    if (storage != Storage::native) return formats[int(storage)].load({narrow, nullptr, nullptr, 0}, n, to);
  }
  const T* const from = static_cast<const T*>(x) + offset;
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) to[i] = from[i];
}

template <class T>
void sum_in_tree(const void* const* x, std::size_t k, Storage storage, std::size_t offset, std::size_t n,
                 T* __restrict sum) {
  if (k == 1) return load_tile(x[0], storage, offset, n, sum);
  if (k == 2 && storage == Storage::native) {
    const T *const a = static_cast<const T*>(x[0]) + offset, *const b = static_cast<const T*>(x[1]) + offset;
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) sum[i] = a[i] + b[i];
    return;
  }
  std::size_t half = 1;
  while (2 * half < k) half *= 2;
  T rest[mean_tile];
  sum_in_tree(x, half, storage, offset, n, sum);
  sum_in_tree(x + half, k - half, storage, offset, n, rest);
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) sum[i] = sum[i] + rest[i];
}

// `mean` may be one of the arrays.
template <class T>
void mean(const void* const* arrays, std::size_t k, Storage storage, Share share, double count, void* mean) {
  const T divisor = T(count);
  T sum[mean_tile];
  for (std::size_t offset = share.offset, end = share.offset + share.n, n; offset < end; offset += n) {
    n = end - offset < mean_tile ? end - offset : mean_tile;
    sum_in_tree(arrays, k, storage, offset, n, sum);
    T* const to = static_cast<T*>(mean) + offset;
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) to[i] = sum[i] / divisor;
  }
}

}  // namespace
