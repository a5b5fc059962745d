// AMSGrad: Adam with the largest v so far, so that no step grows again. Reddi, Kale & Kumar 2018, arXiv:1904.09237.
//   m, v as in Adam
//   v_max <- max(v_max, v)
//   w <- w - lr m / (1 - beta1^t) / (sqrt(v_max / (1 - beta2^t) + eps_root) + eps)
// As in torch, the maximum is over v before its correction; optax's default takes it after. The paper corrects nothing.
#pragma once
#include "adam.hpp"

namespace {

template <class T>
struct AdamAMSGrad : Adam<T> {
  static constexpr Signature signature = variant(Adam<T>::signature, "adam_amsgrad", State{"v_max"});

  void operator()(T& w, T g, T& m, T& v, T& v_max) const {
    this->average(g, m, v);
    v_max = larger(v_max, v);
    w = w - this->step(m, v_max);
  }
};

// With AdamW's decay.
template <class T>
struct AdamWAMSGrad : Adam<T> {
  static constexpr Signature signature = variant(AdamAMSGrad<T>::signature, "adamw_amsgrad", hyper::weight_decay(1e-2));

  void operator()(T& w, T g, T& m, T& v, T& v_max) const {
    this->average(g, m, v);
    v_max = larger(v_max, v);
    w = w - (T(this->lr * this->weight_decay) * w + this->step(m, v_max));
  }
};

}  // namespace
