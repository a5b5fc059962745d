// Cautious Adam, AdamW and Lion: only steps that agree with the gradient are taken, the longer the fewer
// there are. Liang et al. 2024, arXiv:2411.16085.
//   a = 1 where the step u and g have the same sign, else 0
//   w <- w - u a / max(mean(a), 1e-3), with the mean over the tensor
// The bound of the mean is the authors' code's, where the paper has (count + 1) / n. Weight decay is not masked, and
// that of the weight before the step as in AdamW; in the authors' code after it.
#pragma once
#include "adamw.hpp"
#include "lion.hpp"

namespace {

// 1 where the two have the same sign, else 0.
template <class T>
T agree(T a, T b) {
  return a * b > 0 ? T(1) : T(0);
}

// The factor of the steps that are taken, where `count` of n agree.
inline double caution(double count, double n) { return 1 / larger(count / n, 1e-3); }

template <class T>
struct CautiousAdam {
  static constexpr Signature signature = variant(Adam<T>::signature, "cautious_adam");
  double lr, beta1, beta2, eps, eps_root, t, weight_decay = 0;  // which the variant has
  T rate = T(lr / (1 - power(beta1, t))), unbias = T(1 / (1 - power(beta2, t))), factor = 0;

  T average(T g, T m) const { return T(beta1) * m + T(1 - beta1) * g; }

  Terms<T, 1> measure(T, T g, T m, T) const { return {agree(average(g, m), g)}; }

  double settle(const Sums& sums, double n, T*) const { return caution(sums.x[0], n); }

  T step(T g, T& m, T& v) const {
    m = average(g, m);
    v = T(beta2) * v + T(1 - beta2) * (g * g);
    return factor * agree(m, g) * (rate * m / (root(unbias * v + T(eps_root)) + T(eps)));
  }

  void operator()(T& w, T g, T& m, T& v) const { w = w - step(g, m, v); }
};

template <class T>
struct CautiousAdamW : CautiousAdam<T> {
  static constexpr Signature signature = variant(AdamW<T>::signature, "cautious_adamw");

  void operator()(T& w, T g, T& m, T& v) const { w = w - (T(this->lr * this->weight_decay) * w + this->step(g, m, v)); }
};

template <class T>
struct CautiousLion {
  static constexpr Signature signature = variant(Lion<T>::signature, "cautious_lion");
  double lr, beta1, beta2, weight_decay;
  T decay = T(beta1), rest = T(1 - beta1), factor = 0;

  T direction(T g, T m) const { return sign(decay * m + rest * g); }

  Terms<T, 1> measure(T, T g, T m) const { return {agree(direction(g, m), g)}; }

  double settle(const Sums& sums, double n, T*) const { return caution(sums.x[0], n); }

  void operator()(T& w, T g, T& m) const {
    const T u = direction(g, m);
    w = w - (T(lr * weight_decay) * w + T(lr) * (factor * agree(u, g) * u));
    m = T(beta2) * m + T(1 - beta2) * g;
  }
};

}  // namespace
