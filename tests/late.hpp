// Included before run.cpp by test_late_threads.py: threads that come late to some shares, and stay in the middle of
// others.
#pragma once
#include <chrono>
#include <thread>

#include "shares.hpp"

namespace fusedoptim {

template <class Each>
struct Late {
  const Each& each;

  void operator()(std::size_t k, int thread) const {
    static const auto caller = std::this_thread::get_id();
    const bool is_caller = std::this_thread::get_id() == caller;
    if (is_caller ? k % 3 == 0 : k % 2 == 0) std::this_thread::sleep_for(std::chrono::microseconds(50));
    each(k, thread);
    if (!is_caller) std::this_thread::sleep_for(std::chrono::microseconds(20 * (k % 4)));
  }
};

template <class Each>
Phase late_phase_of(std::size_t shares, const Each& each) {
  static thread_local char place[sizeof(Late<Each>)];
  return phase_of(shares, *new (place) Late<Each>{each});
}

}  // namespace fusedoptim

#define phase_of late_phase_of
