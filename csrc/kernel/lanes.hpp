// Sums and maxima in a fixed shape: 32 lanes that are folded at the end, with every instruction set.
#pragma once
#include <utility>

#include "math.hpp"

namespace {

constexpr std::size_t lanes = 32;
#if defined(__AVX512F__)
constexpr std::size_t in_vector = 16;
#elif defined(__AVX2__)
constexpr std::size_t in_vector = 8;
#else
constexpr std::size_t in_vector = lanes;  // as a loop: where every CPU comes by, size matters more
#endif

// Half of the lanes that n numbers reach: the rest are zero, and folding them in would change nothing.
inline std::size_t first_half(std::size_t n) {
  std::size_t half = lanes / 2;
  while (half >= n && half > 0) half /= 2;
  return half;
}

// Calls add(lane, i) for the lanes of a vector from `first` on.
template <class Add>
void add_vector(std::size_t first, std::size_t i, const Add& add) {
#pragma omp simd
  for (std::size_t k = 0; k < in_vector; ++k) add(first + k, i + k);
}

// The same for all lanes: unrolled, so that what they hold stays in registers.
template <class Add, std::size_t... k>
void add_vectors(std::size_t i, const Add& add, std::index_sequence<k...>) {
  (add_vector(k * in_vector, i + k * in_vector, add), ...);
}

// Calls add(i % lanes, i) for i = 0 ... n - 1.
template <class Add>
void add_in_lanes(std::size_t n, const Add& add) {
  std::size_t i = 0, lane = 0;
  for (; i + lanes <= n; i += lanes) add_vectors(i, add, std::make_index_sequence<lanes / in_vector>());
  for (; i + in_vector <= n; i += in_vector, lane += in_vector) add_vector(lane, i, add);
  for (; i < n; ++i, ++lane) add(lane, i);
}

// The sum of the lanes that n numbers were added to.
inline double folded(double* sum, std::size_t n) {
  for (std::size_t half = first_half(n); half > 0; half /= 2)
    for (std::size_t lane = 0; lane < half; ++lane) sum[lane] += sum[lane + half];
  return sum[0];
}

// The sums of the squares of terms(0) ... terms(n - 1).
template <class Terms>
Sums sum_in_lanes(std::size_t n, Terms terms) {
  constexpr int count = decltype(terms(0))::count;
  alignas(64) double sum[count][lanes];
  for (auto& of_term : sum)
    for (double& each : of_term) each = 0;
  add_in_lanes(n, [&](std::size_t lane, std::size_t i) {
    const auto each = terms(i);
    for (int k = 0; k < count; ++k) sum[k][lane] += double(each.x[k]) * double(each.x[k]);
  });
  Sums total;
  for (int k = 0; k < count; ++k) total.x[k] = folded(sum[k], n);
  return total;
}

// The sum of the squares of float32, of which two rows are added in float32 before they are converted. What that has no
// room for is lost or infinite. Calls ask(i) before it reads two rows from i on.
template <class X, class Ask>
double square_sum_of_pairs(std::size_t n, const X& x, const Ask& ask) {
  alignas(64) double sum[lanes];
  for (double& each : sum) each = 0;
  const auto add_pair = [&](std::size_t lane, std::size_t i) {
    const float a = x(i), b = x(i + lanes);
    sum[lane] += double(a * a + b * b);
  };
  std::size_t first = 0;
  for (; first + 2 * lanes <= n; first += 2 * lanes) {
    ask(first);
    add_vectors(first, add_pair, std::make_index_sequence<lanes / in_vector>());
  }
  add_in_lanes(n - first, [&](std::size_t lane, std::size_t i) {
    const double rest = x(first + i);
    sum[lane] += rest * rest;
  });
  return folded(sum, n);
}

struct AskNothing {
  void operator()(std::size_t) const {}
};

// The sum of the squares of x(0) ... x(n - 1).
template <class T, class X, class Ask = AskNothing>
Sums square_sum_in_lanes(std::size_t n, const X& x, const Ask& ask = {}) {
  if constexpr (sizeof(T) == sizeof(float)) {
    const double sum = square_sum_of_pairs(n, x, ask);
    if (sum > 0x1p-90 && sum < 0x1p120) return {{sum, 0}};
  }
  return sum_in_lanes(n, [&](std::size_t i) { return Terms<T, 1>{x(i)}; });
}

// The largest of n numbers >= 0, or NaN if there is one.
template <class T>
T largest(std::size_t n, const T* x) {
  alignas(64) T most[lanes] = {};
  add_in_lanes(n, [&](std::size_t lane, std::size_t i) { most[lane] = larger(most[lane], x[i]); });
  for (std::size_t half = first_half(n); half > 0; half /= 2)
    for (std::size_t lane = 0; lane < half; ++lane) most[lane] = larger(most[lane], most[lane + half]);
  return most[0];
}

}  // namespace
