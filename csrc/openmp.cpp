// The layer of OpenMP's threads, in a module of its own: who does not choose it loads no OpenMP.
#include <omp.h>
#include <pthread.h>
#include <pybind11/pybind11.h>

#include <vector>

#include "threads.hpp"

namespace fusedoptim {

namespace {

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

// OpenMP keeps a team for each thread that begins regions.
int startable(int n) {
  thread_local int last = 1;
  if (n > last && !can_start(n - 1)) return 1;
  return n == 1 ? 1 : last = n;
}

void region(int threads, const void* what, void (*each_thread)(const void* what, int thread)) {
#pragma omp parallel num_threads(threads)
  each_thread(what, omp_get_thread_num());
}

constexpr OpenMp layer = {
    [] { return omp_get_max_threads(); },
    [] { return omp_get_thread_limit(); },
    [] { return omp_get_num_procs(); },
    [] { return omp_in_parallel() != 0; },
    startable,
    region,
};

}  // namespace

PYBIND11_MODULE(_openmp, m) {
  m.doc() = "The threading layer of OpenMP.";
  m.attr("layer") = pybind11::capsule(&layer, "fusedoptim.OpenMp");
}

}  // namespace fusedoptim
