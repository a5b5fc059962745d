#include "parallel.hpp"

#include <pthread.h>

#include <algorithm>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace fusedoptim {

namespace {

int default_threads = 0;
int cpu_quota = 0;

// GNU OpenMP's worker threads do not survive a fork: a region in the child would wait for them for ever.
bool forked_child = false;
const int at_fork = pthread_atfork(nullptr, nullptr, [] { forked_child = true; });

std::size_t span_at(const Work& work, std::size_t element) {
  return std::size_t(std::upper_bound(work.starts, work.starts + work.n_spans, element) - work.starts) - 1;
}

// Where share k of `count` begins: even, but moved down to a multiple of 64 bytes from the start of its tensor.
std::size_t cut(const Work& work, std::size_t k, std::size_t count) {
  constexpr std::size_t line = 64 / sizeof(float);
  if (k == count) return work.total();
  const std::size_t even = work.total() / count * k + work.total() % count * k / count;
  return even - (even - work.starts[span_at(work, even)]) % line;
}

void run_share(Update update, const Work& work, const double* hyper, std::size_t k, std::size_t count) {
  if (work.total() == 0) return;
  const std::size_t begin = cut(work, k, count), end = cut(work, k + 1, count);
  if (begin == end) return;
  const std::size_t first = span_at(work, begin);
  update(work.spans + first, {begin - work.starts[first], end - begin}, hyper);
}

}  // namespace

void set_default_threads(int n) { default_threads = n; }
void set_cpu_quota(int n) { cpu_quota = n; }

#ifdef _OPENMP

bool has_openmp() { return true; }

static int wanted_threads(int requested) {
  constexpr int most = 1024;  // each of them is a share of the work
  return std::min(most, requested > 0 ? requested : default_threads > 0 ? default_threads : omp_get_max_threads());
}

int num_threads(int requested) {
  if (forked_child || omp_in_parallel()) return 1;
  const int cpus = omp_get_num_procs();  // of the affinity mask
  return std::min(wanted_threads(requested), cpu_quota > 0 ? std::min(cpus, cpu_quota) : cpus);
}

void run(Update update, const Work& work, const double* hyper, int requested_threads) {
  const int team = work.total() < parallel_threshold ? 1 : num_threads(requested_threads);
  if (team == 1) return run_share(update, work, hyper, 0, 1);
  // As many shares as threads were wanted, so that a result can be compared with one from a larger machine.
  const auto shares = std::size_t((wanted_threads(requested_threads) + team - 1) / team * team);
#pragma omp parallel num_threads(team)
  for (auto k = std::size_t(omp_get_thread_num()); k < shares; k += std::size_t(omp_get_num_threads()))
    run_share(update, work, hyper, k, shares);
}

#else

bool has_openmp() { return false; }
int num_threads(int) { return 1; }
void run(Update update, const Work& work, const double* hyper, int) { run_share(update, work, hyper, 0, 1); }

#endif

}  // namespace fusedoptim
