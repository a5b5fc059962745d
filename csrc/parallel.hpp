// One step, one parallel region: all spans of a step form one index space, one contiguous share of it a thread.
#pragma once

#include <cstddef>

#include "kernel.hpp"

namespace fusedoptim {

// The spans of a step. starts[k] is the number of elements before span k; starts[n_spans] is their total.
struct Work {
  const Span* spans;
  const std::size_t* starts;
  std::size_t n_spans;
  std::size_t total() const { return starts[n_spans]; }
};

void run(Update update, const Work& work, const double* hyper, int requested_threads);

// Less work than this runs on the calling thread: starting a region would cost more than it saves.
constexpr std::size_t parallel_threshold = 1 << 15;

// Threads of a large step: `requested`, else the default set here, else OpenMP's; at most as many as there are CPUs.
int num_threads(int requested = 0);
void set_default_threads(int n);  // 0: OpenMP's default
void set_cpu_quota(int n);        // CPUs that the control group grants; 0: no limit
bool has_openmp();

}  // namespace fusedoptim
