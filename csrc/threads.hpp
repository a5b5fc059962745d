// How many threads a step uses and what says so, and the layer that has the threads: our pool, or OpenMP.
#pragma once

#include <cstddef>

#include "shares.hpp"

namespace fusedoptim {

// With fewer elements for each, another thread would take longer to begin than it saves.
constexpr std::size_t least_for_a_thread = 1 << 14;

// Threads of a large step: `requested`, else the default set here, else the layer's; at most as many as there are CPUs.
int num_threads(int requested = 0);
const char* threads_set_by();     // which of these set the number of those that are not requested
int num_cpus();                   // of the affinity mask, or, if OpenMP has bound threads itself, of what it began with
void set_default_threads(int n);  // 0: the layer's default
void set_cpu_quota(int n);        // CPUs that the control group grants; 0: no limit
void set_least_to_wake(std::size_t n);  // elements, of one phase or of some that follow closely; for tests
void set_openmp_variables(int num_threads, int thread_limit);  // the pool heeds them too; 0: not set

// What the module _openmp offers.
struct OpenMp {
  int (*max_threads)();
  int (*thread_limit)();
  int (*num_procs)();
  bool (*is_in_region)();
  int (*startable)(int n);  // n, or 1
  void (*region)(int threads, const void* what, void (*each_thread)(const void* what, int thread));
};
void use_openmp(const OpenMp* layer);  // null: the pool
const char* threading_layer();

// The threads of a step over n elements, and the shares of each of its phases: many, and small, so that nobody waits
// long for one that somebody is in the middle of. Where they are cut depends on n alone.
struct Team {
  int threads;
  std::size_t shares;
  std::size_t n;   // elements
  bool gives_way;  // where others want the CPUs too: nobody has asked for so many threads, and one does
};
Team team_of(std::size_t n, int requested);

// Does all shares of a phase. One step at a time has other threads: who finds them taken does all by itself.
void run(const Phase& phase, const Team& team);

}  // namespace fusedoptim
