#include "threads.hpp"

#ifndef _WIN32
#include <pthread.h>
#endif
#ifdef __linux__
#include <sched.h>
#endif

#include <algorithm>
#include <chrono>
#include <initializer_list>
#include <new>
#include <thread>

#include "crowd.hpp"
#include "pool.hpp"

namespace fusedoptim {

namespace {

// Set while steps of other threads may run.
std::atomic<int> default_threads{0};
std::atomic<int> cpu_quota{0};
std::atomic<std::size_t> least_to_wake{1 << 18};
std::atomic<int> omp_num_threads{0};
std::atomic<int> omp_thread_limit{0};
std::atomic<const OpenMp*> openmp{nullptr};

std::atomic<bool> is_taken{false};  // the threads are, by a step

// The pool begins anew in a forked child. GNU OpenMP's threads do not survive it, and a region would wait for them for
// ever: there the pool has its place.
std::atomic<bool> forked_child{false};
#ifndef _WIN32
const int at_fork = pthread_atfork(nullptr, nullptr, [] {
  pool::forget();
  is_taken = false;
  forked_child = true;
});
#endif

const OpenMp* regions() { return forked_child ? nullptr : openmp.load(); }

constexpr std::size_t for_a_share = 1 << 14;
constexpr std::size_t most_shares = 1 << 15;
constexpr std::size_t most_alone = 1 << 25;  // beside other load: 15 ms on one thread, no less than a wait for a CPU

struct Limit {
  int n;
  const char* name;
};

Limit wanted(int requested) {
  const auto at_most = [](int n) { return std::min(n, most_threads); };
  if (requested > 0) return {at_most(requested), "requested"};
  if (const int n = default_threads; n > 0) return {at_most(n), "default"};
  if (const OpenMp* layer = openmp) return {at_most(layer->max_threads()), "openmp"};
  if (const int n = omp_num_threads; n > 0) return {at_most(n), "OMP_NUM_THREADS"};
  return {at_most(num_cpus()), "cpus"};
}

Limit allowed(int requested) {
  const OpenMp* const layer = openmp;
  if (layer && layer->is_in_region()) return {1, "nested"};
  Limit least = wanted(requested);
  for (const Limit& limit : {Limit{num_cpus(), "affinity"}, Limit{cpu_quota, "cgroup_quota"},
                             Limit{layer ? layer->thread_limit() : omp_thread_limit.load(), "OMP_THREAD_LIMIT"}})
    if (limit.n > 0 && limit.n < least.n) least = limit;
  return least;
}

// What is allowed, as far as threads could be started.
Limit granted(int requested) {
  const Limit most = allowed(requested);
  return regions() || pool::startable() >= most.n ? most : Limit{pool::startable(), "startable"};
}

Shares& shares_of_regions() {
  static Shares& shares = *new Shares;  // never destroyed, like the pool
  return shares;
}

// Threads for a phase, of those wanted; one where memory is lacking.
int prepare(const OpenMp* layer, int wanted) {
  try {
    if (layer == nullptr) return pool::prepare(wanted);
    shares_of_regions();
    return layer->startable(wanted);
  } catch (const std::bad_alloc&) {
    return 1;
  }
}

void run_in_region(const OpenMp& layer, const Phase& phase, int threads) {
  const std::uint32_t number = shares_of_regions().begin(phase, threads);
  layer.region(threads, &number, [](const void* what, int thread) {
    shares_of_regions().work(*static_cast<const std::uint32_t*>(what), thread);
  });
}

// Holds the threads for a step's phase, if no other step does.
class Lease {
 public:
  Lease() : holds(!is_taken.exchange(true, std::memory_order_acquire)) {}
  ~Lease() {
    if (holds) is_taken.store(false, std::memory_order_release);
  }
  const bool holds;
};

// Whether other threads are worth waking, by what came closely before.
class Recent {
 public:
  bool pays(std::size_t n) {
    const auto now = Clock::now();
    sum = now - last > pool::awake ? n : sum + n;
    return now - last_with_others <= pool::awake || sum >= least_to_wake;
  }
  void end(bool with_others) {
    last = Clock::now();
    if (with_others) last_with_others = last;
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point last, last_with_others;
  std::size_t sum = 0;  // of the elements of phases that follow each other closely
};

Recent recent;  // of who holds the lease

}  // namespace

void set_default_threads(int n) { default_threads = n; }
void set_cpu_quota(int n) { cpu_quota = n; }
void set_least_to_wake(std::size_t n) { least_to_wake = n; }
void set_openmp_variables(int num_threads, int thread_limit) {
  omp_num_threads = num_threads, omp_thread_limit = thread_limit;
}
void use_openmp(const OpenMp* layer) { openmp = layer; }
const char* threading_layer() { return regions() ? "openmp" : "pool"; }
int num_threads(int requested) { return granted(requested).n; }
const char* threads_set_by() { return granted(0).name; }

int num_cpus() {
  if (const OpenMp* layer = openmp) return layer->num_procs();
#ifdef __linux__
  cpu_set_t cpus;
  if (sched_getaffinity(0, sizeof cpus, &cpus) == 0) return CPU_COUNT(&cpus);
#endif
  return std::max(1, int(std::thread::hardware_concurrency()));
}

Team team_of(std::size_t n, int requested) {
  const std::size_t useful = n / least_for_a_thread;
  if (useful < 2) return {1, 1, n, false};
  const int threads = int(std::min(useful, std::size_t(allowed(requested).n)));
  if (threads == 1) return {1, 1, n, false};
  return {threads, std::min(n / for_a_share, most_shares), n, requested == 0 && default_threads == 0 && n < most_alone};
}

void run(const Phase& phase, const Team& team) {
  if (team.threads == 1 || (team.gives_way && is_crowded())) return do_alone(phase);
  const Lease lease;
  const OpenMp* const layer = regions();
  const int threads = lease.holds ? prepare(layer, team.threads) : 1;
  if (threads == 1) return do_alone(phase);
  const bool with_others = recent.pays(team.n);
  if (!with_others)
    do_alone(phase);
  else if (layer != nullptr)
    run_in_region(*layer, phase, threads);
  else
    pool::run(phase, threads);
  recent.end(with_others);
}

}  // namespace fusedoptim
