#include "elementary.hpp"

#include <cmath>

namespace fusedoptim {

namespace {

constexpr double ln_2 = 0.6931471805599453;

// 2^k times the Taylor series of what is left.
double exponential(double x) {
  if (!(-708 < x && x < 709)) return x < 0 ? 0 : HUGE_VAL;
  const double k = floor(x / ln_2 + 0.5), rest = x - k * ln_2;
  double series = 1;
  for (int n = 16; n > 0; --n) series = 1 + rest / n * series;
  return ldexp(series, int(k));
}

// k log 2 + 2 artanh(f) for x = 2^k (1 + f) / (1 - f) > 0.
double logarithm(double x) {
  int k;
  double m = frexp(x, &k);
  if (m < 0.7071067811865476) m = 2 * m, --k;
  const double f = (m - 1) / (m + 1);
  double series = 0;
  for (int n = 23; n > 0; n -= 2) series = 1.0 / n + f * f * series;
  return k * ln_2 + 2 * f * series;
}

}  // namespace

double power(double base, double exponent) {
  if (exponent < 0) return 1 / power(base, -exponent);
  if (exponent >= 0x1p63) return base < 1 ? 0 : base > 1 ? HUGE_VAL : 1;
  if (exponent != floor(exponent)) return 0 < base && base < HUGE_VAL ? exponential(exponent * logarithm(base)) : base;
  double result = 1;
  for (auto n = static_cast<unsigned long long>(exponent); n > 0; n >>= 1, base *= base)
    if (n & 1) result *= base;
  return result;
}

}  // namespace fusedoptim
