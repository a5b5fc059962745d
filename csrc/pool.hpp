// Threads of our own, which wait for the phases of steps: awake for a short while, then asleep.
#pragma once

#include "shares.hpp"

namespace fusedoptim::pool {

// Threads that a phase can have, the caller's among them: so many are started as can be, up to `wanted`.
int prepare(int wanted);
int startable();  // as far as is known

// Does all shares, on this thread and others. One caller at a time. Others that sleep are woken only for a
// phase over many elements n, or for phases that follow each other closely.
void run(const Phase& phase, int threads, std::size_t n);

void forget();  // in a forked child, where the threads are gone

}  // namespace fusedoptim::pool
