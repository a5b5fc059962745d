// WindowSGD: the mean of the last `window` gradients (of all, while there are fewer).
//   w <- w - lr mean(g_t-window+1, ..., g_t)
// Summed afresh at each step, oldest first, so that it cannot drift and an infinite gradient leaves with its window.
#pragma once
#include "kernel/math.hpp"

namespace {

// past <- the sum of some slots of the ring, added to what is there. Not inlined: inside the loop, GCC 12 leaves it
// scalar.
template <class T, class... Slots>
__attribute__((noinline)) void add_slots(std::size_t n, T* past, const Slots*... slots) {
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) past[i] = (past[i] + ... + slots[i]);
}

template <class T>
struct WindowSGD {
  static constexpr Signature signature = {
      "window_sgd", {{"ring", Shape::ring}}, {hyper::lr(1e-2), {"t", 1, Domain::count}, {"window", 0, Domain::slots}}};
  static constexpr std::size_t block = 1024;  // elements whose past is summed before the loop passes over them
  double lr, t, window;
  T rate = T(lr / fmin(t, window));

  // The slot that the newest gradient goes to, and the sum of the others.
  void operator()(T& w, T g, T& slot, T past) const {
    slot = g;
    w = w - rate * (past + g);
  }

  // A block with its past, in memory of so many numbers.
  Piece prepare(Piece at, T* past) const {
    const std::size_t slots = std::size_t(window), newest = std::size_t(fmod(t - 1, window));
    const auto slot = [&](std::size_t age) {
      return static_cast<T*>(at.arrays[2]) + (newest + slots - age) % slots * at.slot;
    };
#pragma omp simd
    for (std::size_t i = 0; i < at.n; ++i) past[i] = 0;
    std::size_t age = slots - 1;
    for (; age >= 4; age -= 4) add_slots(at.n, past, slot(age), slot(age - 1), slot(age - 2), slot(age - 3));
    if (age == 3) add_slots(at.n, past, slot(3), slot(2), slot(1));
    if (age == 2) add_slots(at.n, past, slot(2), slot(1));
    if (age == 1) add_slots(at.n, past, slot(1));
    at.arrays[3] = past, at.arrays[2] = slot(0);
    return at;
  }
};

}  // namespace
