// One step, one parallel region: all tensors form one index space, one contiguous share of it a thread.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "kernel.hpp"

namespace fusedoptim {

// The tensors of one dtype. starts[k] and chunks[k] are the numbers of elements and of chunks before span k.
struct Work {
  std::vector<Span> spans;
  std::vector<std::size_t> starts = {0};
  std::vector<std::size_t> chunks = {0};
  std::vector<Span> repeats;  // sum <- sum + g, of gradients that come in parts; those of one sum lie together
  std::size_t n_repeats = 0;  // elements of them
  std::vector<std::unique_ptr<char[]>> sums;

  void add(const Span& span);
  void add_repeat(void* sum, void* g, std::size_t n);
  char* new_sums(std::size_t bytes);
  void reserve(std::size_t more_spans);
};

// Adds up the gradients that come in parts, and updates all tensors. If there is a `decide`, it gets the sum of the
// squares of all gradients first, may still change the settings, and tells whether to update.
void run(Work* works, const Row& row, const std::function<bool(double)>& decide, int requested_threads);

// Less work than this runs on the calling thread: starting a region would cost more than it saves.
constexpr std::size_t parallel_threshold = 1 << 15;

// Threads of a large step: `requested`, else the default set here, else OpenMP's; at most as many as there are CPUs.
int num_threads(int requested = 0);
const char* threads_set_by();     // which of these set the number of those that are not requested
int num_cpus();                   // of the affinity mask, or, if OpenMP has bound threads itself, of what it began with
void set_default_threads(int n);  // 0: OpenMP's default
void set_cpu_quota(int n);        // CPUs that the control group grants; 0: no limit
bool has_openmp();

}  // namespace fusedoptim
