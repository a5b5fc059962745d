// Threads of our own, which wait for the phases of steps: awake for a short while, then asleep.
#pragma once

#include <chrono>

#include "shares.hpp"

namespace fusedoptim::pool {

// Threads that a phase can have, the caller's among them: so many are started as can be, up to `wanted`.
int prepare(int wanted);
int startable();  // as far as is known

// A thread that looks for work for longer takes the CPU from what the program does between two steps.
constexpr auto awake = std::chrono::microseconds(50);

// Does all shares, on this thread and others. One caller at a time.
void run(const Phase& phase, int threads);

void forget();  // in a forked child, where the threads are gone

}  // namespace fusedoptim::pool
