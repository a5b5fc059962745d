// How many threads a step uses, and what says so.
#pragma once

#include <cstddef>

namespace fusedoptim {

// Less work than this runs on the calling thread: starting a region would cost more than it saves.
constexpr std::size_t parallel_threshold = 1 << 15;

// Threads of a large step: `requested`, else the default set here, else OpenMP's; at most as many as there are CPUs.
int num_threads(int requested = 0);
const char* threads_set_by();     // which of these set the number of those that are not requested
int num_cpus();                   // of the affinity mask, or, if OpenMP has bound threads itself, of what it began with
void set_default_threads(int n);  // 0: OpenMP's default
void set_cpu_quota(int n);        // CPUs that the control group grants; 0: no limit
bool has_openmp();

// The threads of a step over n elements, and the shares that they take in turns: as many as threads were wanted, so
// that one machine cuts the work as a larger one would.
struct Team {
  int threads;
  std::size_t shares;
};
Team team_of(std::size_t n, int requested);

}  // namespace fusedoptim
