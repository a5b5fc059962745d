#include "threads.hpp"

#ifndef _WIN32
#include <pthread.h>
#endif

#include <algorithm>
#include <atomic>
#include <initializer_list>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace fusedoptim {

namespace {

std::atomic<int> default_threads{0};  // both are set while steps of other threads may run
std::atomic<int> cpu_quota{0};

}  // namespace

void set_default_threads(int n) { default_threads = n; }
void set_cpu_quota(int n) { cpu_quota = n; }

#ifdef _OPENMP

namespace {

// GNU OpenMP's worker threads do not survive a fork: a region in the child would wait for them for ever.
bool forked_child = false;
#ifndef _WIN32
const int at_fork = pthread_atfork(nullptr, nullptr, [] { forked_child = true; });
#endif

struct Limit {
  int n;
  const char* name;
};

Limit wanted(int requested) {
  constexpr int most = 1024;  // each of them is a share of the work
  if (requested > 0) return {std::min(most, requested), "requested"};
  if (const int n = default_threads; n > 0) return {std::min(most, n), "default"};
  return {std::min(most, omp_get_max_threads()), "openmp"};
}

Limit granted(int requested) {
  if (forked_child) return {1, "fork"};
  if (omp_in_parallel()) return {1, "nested"};
  Limit least = wanted(requested);
  for (const Limit& limit : {Limit{num_cpus(), "affinity"}, Limit{cpu_quota, "cgroup_quota"},
                             Limit{omp_get_thread_limit(), "OMP_THREAD_LIMIT"}})
    if (limit.n > 0 && limit.n < least.n) least = limit;
  return least;
}

// Whether so many threads can run beside this one. OpenMP would end the process where it cannot start one, for want of
// memory or by a limit on processes; so they are tried before its first region of so many.
bool can_start(int n) {
  std::vector<pthread_t> started;
  started.reserve(std::size_t(n));
  pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;  // holds them, so that all are there at once
  const auto wait = [](void* gate) -> void* {
    pthread_mutex_lock(static_cast<pthread_mutex_t*>(gate));
    pthread_mutex_unlock(static_cast<pthread_mutex_t*>(gate));
    return nullptr;
  };
  pthread_mutex_lock(&gate);
  for (pthread_t thread; int(started.size()) < n && pthread_create(&thread, nullptr, wait, &gate) == 0;)
    started.push_back(thread);
  pthread_mutex_unlock(&gate);
  for (const pthread_t thread : started) pthread_join(thread, nullptr);
  return int(started.size()) == n;
}

// All that is granted, or this thread alone. OpenMP keeps a team for each thread that begins regions.
int startable(int requested) {
  thread_local int last = 1;
  const int n = granted(requested).n;
  if (n > last && !can_start(n - 1)) return 1;
  return n == 1 ? 1 : last = n;
}

}  // namespace

bool has_openmp() { return true; }
int num_threads(int requested) { return granted(requested).n; }
const char* threads_set_by() { return granted(0).name; }
int num_cpus() { return omp_get_num_procs(); }

Team team_of(std::size_t n, int requested) {
  const int threads = n < parallel_threshold ? 1 : startable(requested);
  if (threads == 1) return {1, 1};
  return {threads, std::size_t((wanted(requested).n + threads - 1) / threads * threads)};
}

#else

bool has_openmp() { return false; }
int num_threads(int) { return 1; }
const char* threads_set_by() { return "no openmp"; }
int num_cpus() { return 1; }
Team team_of(std::size_t, int) { return {1, 1}; }

#endif

}  // namespace fusedoptim
