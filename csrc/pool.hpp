// Threads of our own, which wait for the phases of steps: awake for a short while, then asleep.
#pragma once

#include "shares.hpp"

namespace fusedoptim::pool {

// Threads that a phase can have, the caller's among them: so many are started as can be, up to `wanted`.
int prepare(int wanted);
int startable();  // as far as is known

// Does all shares, on this thread and others. One caller at a time. If the others sleep, they are woken only if that
// `pays`.
void run(const Phase& phase, int threads, bool pays);

void forget();  // in a forked child, where the threads are gone

}  // namespace fusedoptim::pool
