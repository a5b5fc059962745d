// AdamW: Adam with decoupled weight decay, scaled by lr. Loshchilov & Hutter 2019, Algorithm 2, arXiv:1711.05101.
//   w <- w - (lr weight_decay w + Adam's step)
#pragma once
#include "adam.hpp"

namespace {

template <class T>
struct AdamW : Adam<T> {
  static constexpr Signature signature = variant(Adam<T>::signature, "adamw", hyper::weight_decay(1e-2));

  void operator()(T& w, T g, T& m, T& v) const {
    this->average(g, m, v);
    w = w - (T(this->lr * this->weight_decay) * w + this->step(m, v));
  }
};

}  // namespace
