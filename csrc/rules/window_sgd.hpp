// WindowSGD: the mean of the last `window` gradients (of all, while there are fewer).
//   w <- w - lr mean(g_t-window+1, ..., g_t)
// Summed afresh at each step, so that it cannot drift and an infinite gradient leaves with its window.
#pragma once
#include "math.hpp"

namespace {

template <class T>
struct WindowSGD {
  static constexpr Signature signature = {
      "window_sgd", {{"ring", Shape::ring}}, {hyper::lr(1e-2), {"t", 1, Domain::count}, {"window", 0, Domain::rows}}};
  std::size_t window, newest;
  T scale;

  WindowSGD(double lr, double t, double window)
      : window(std::size_t(window)), newest(std::size_t(fmod(t - 1, window))), scale(T(lr / fmin(t, window))) {}

  void operator()(T& w, T g, Past<T>& past) const {
    past.newest = g;
    w = w - scale * (past.sum + g);
  }
};

}  // namespace
