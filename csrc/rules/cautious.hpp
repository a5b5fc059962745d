// Cautious Adam, AdamW and Lion: steps where they agree with the gradient, longer by as much as there are fewer of
// them. Liang et al. 2024, arXiv:2411.16085.
//   a = 1 where the step u and g have the same sign, else 0
//   w <- w - u a / max(mean(a), 1e-3), with the mean over the tensor
// The bound of the mean is the authors' code's, where the paper has (count + 1) / n. Weight decay is not masked, and
// comes first as in AdamW; in the authors' code last.
#pragma once
#include "adamw.hpp"
#include "lion.hpp"

namespace {

// 1 where the two have the same sign, else 0.
template <class T>
T agree(T a, T b) {
  return a * b > 0 ? T(1) : T(0);
}

// How much longer the steps of those that agree are, of whom there are `count` in n.
inline double caution(double count, double n) { return 1 / larger(count / n, 1e-3); }

template <class T>
struct CautiousAdam : Adam<T> {
  static constexpr Signature signature = renamed(Adam<T>::signature, "cautious_adam");
  T factor = 0;
  using Adam<T>::Adam;

  Terms<T, 1> measure(T, T g, T m, T) const { return {agree(this->beta1 * m + this->rest1 * g, g)}; }

  double settle(const Sums& sums, double n, T*) const { return caution(sums.x[0], n); }

  void operator()(T& w, T g, T& m, T& v) const {
    T u = 0;
    Adam<T>::operator()(u, g, m, v);
    w = w + factor * agree(m, g) * u;
  }
};

template <class T>
struct CautiousAdamW : CautiousAdam<T> {
  static constexpr Signature signature = renamed(AdamW<T>::signature, "cautious_adamw");
  T keep;

  CautiousAdamW(double lr, double beta1, double beta2, double eps, double eps_root, double t, double weight_decay)
      : CautiousAdam<T>(lr, beta1, beta2, eps, eps_root, t), keep(T(1 - lr * weight_decay)) {}

  void operator()(T& w, T g, T& m, T& v) const {
    w = keep * w;
    CautiousAdam<T>::operator()(w, g, m, v);
  }
};

template <class T>
struct CautiousLion : Lion<T> {
  static constexpr Signature signature = renamed(Lion<T>::signature, "cautious_lion");
  T factor = 0;
  using Lion<T>::Lion;

  Terms<T, 1> measure(T, T g, T m) const { return {agree(sign(this->beta1 * m + this->rest1 * g), g)}; }

  double settle(const Sums& sums, double n, T*) const { return caution(sums.x[0], n); }

  void operator()(T& w, T g, T& m) const {
    const T u = sign(this->beta1 * m + this->rest1 * g);
    w = this->keep * w - this->lr * (factor * agree(u, g) * u);
    m = this->beta2 * m + this->rest2 * g;
  }
};

}  // namespace
