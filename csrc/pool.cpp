#include "pool.hpp"

#ifndef _WIN32
#include <pthread.h>
#include <signal.h>
#endif
#ifdef __linux__
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

namespace fusedoptim::pool {

namespace {

using Clock = std::chrono::steady_clock;

// The caller sleeps after so long, lest it keep from the CPU the very thread it waits for.
constexpr auto patience = std::chrono::microseconds(20);
constexpr int runs_between_tries = 100;  // to start a thread after one could not be started

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// Whether it came true within so long.
template <class Holds>
bool comes_soon(const Holds& holds, Clock::duration time) {
  const auto begin = Clock::now();
  do {
    for (int i = 0; i < 32; ++i, pause())
      if (holds()) return true;
  } while (Clock::now() - begin < time);
  return false;
}

// A place to sleep until something holds. Who makes it hold calls `wake` after, if somebody sleeps.
class Bed {
 public:
  template <class Holds>
  void sleep_until(const Holds& holds) {
    std::unique_lock<std::mutex> lock(mutex);
    is_taken.store(true);
    condition.wait(lock, holds);
    is_taken.store(false);
  }
  void wake() {
    if (!is_taken.load()) return;
    { const std::lock_guard<std::mutex> lock(mutex); }  // who looked before is asleep now
    condition.notify_one();
  }

 private:
  std::mutex mutex;
  std::condition_variable condition;
  std::atomic<bool> is_taken{false};
};

// What begins: the number of a phase, and how many threads are for it.
struct Call {
  std::uint32_t number;
  int threads;

  std::uint64_t word() const { return std::uint64_t(number) << 16 | std::uint64_t(threads); }
  static Call of(std::uint64_t word) { return {std::uint32_t(word >> 16), int(word & 0xffff)}; }
};

// Where the caller runs. Linux likes to wake a thread on the CPU of who wakes it, if no CPU is idle, and there the one
// could only run instead of the other.
class Caller {
 public:
#ifdef __linux__
  void is_here() {
    cpu.store(sched_getcpu(), std::memory_order_relaxed);
    thread.store(pid_t(syscall(SYS_gettid)), std::memory_order_relaxed);
  }
  // To another CPU that the caller may use.
  void leave_its_cpu() const {
    const int its = cpu.load(std::memory_order_relaxed);
    cpu_set_t cpus;
    if (sched_getcpu() != its || its < 0 || its >= CPU_SETSIZE) return;
    if (sched_getaffinity(thread.load(std::memory_order_relaxed), sizeof cpus, &cpus) != 0) return;
    CPU_CLR(its, &cpus);
    sched_setaffinity(0, sizeof cpus, &cpus);  // refused if none is left
  }

 private:
  std::atomic<int> cpu{-1};
  std::atomic<pid_t> thread{0};
#else
  void is_here() {}
  void leave_its_cpu() const {}
#endif
};

// A thread that is started meanwhile leaves the signals of the process to the threads of the program.
class WithoutSignals {
 public:
#ifndef _WIN32
  WithoutSignals() {
    sigset_t all;
    sigfillset(&all);
    for (const int own_fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) sigdelset(&all, own_fault);
    pthread_sigmask(SIG_SETMASK, &all, &before);
  }
  ~WithoutSignals() { pthread_sigmask(SIG_SETMASK, &before, nullptr); }

 private:
  sigset_t before;
#else
  WithoutSignals() {}
#endif
};

class Pool {
 public:
  Pool() : beds(new Bed[most_threads]) {}

  int prepare(int wanted) {
    if (wanted <= n || --runs_to_try > 0) return std::min(wanted, n);
    const WithoutSignals without_signals;
    try {
      for (; n < wanted; ++n) std::thread([this, k = n, seen = call.load()] { serve(k, seen); }).detach();
      runs_to_try = 0;
    } catch (const std::exception&) {  // of the system, or for want of memory
      runs_to_try = runs_between_tries;
    }
    most.store(runs_to_try > 0 ? n : most_threads);
    return n;
  }

  int startable() const { return most.load(); }

  void run(const Phase& phase, int threads) {
    caller.is_here();
    const Call next = {shares.begin(phase, threads), threads};
    call.store(next.word());
    wake_after(0, next);
    shares.work(next.number, 0);
    const auto are_done = [this] { return shares.are_done(); };
    if (!comes_soon(are_done, patience)) callers_bed.sleep_until(are_done);
  }

 private:
  // Each wakes two others, the caller the first two.
  void wake_after(int k, const Call& now) {
    for (int next = 2 * k + 1; next <= 2 * k + 2 && next < now.threads; ++next) beds[std::size_t(next)].wake();
  }

  void serve(int k, std::uint64_t seen) {
#ifdef __linux__
    pthread_setname_np(pthread_self(), "fusedoptim");
#endif
    for (;;) {
      const auto is_called = [&] { return call.load() != seen; };
      if (!comes_soon(is_called, awake)) beds[std::size_t(k)].sleep_until(is_called);
      seen = call.load();
      const Call now = Call::of(seen);
      if (k >= now.threads) continue;
      wake_after(k, now);
      caller.leave_its_cpu();
      if (shares.work(now.number, k)) callers_bed.wake();
    }
  }

  Shares shares;
  std::unique_ptr<Bed[]> beds;  // of each thread
  Bed callers_bed;
  Caller caller;
  int n = 1;  // threads, the caller's among them
  int runs_to_try = 0;
  std::atomic<int> most{most_threads};
  alignas(64) std::atomic<std::uint64_t> call{0};
};

// Never destroyed: at the end of the process its threads may still look at it.
std::atomic<Pool*> pool{nullptr};

}  // namespace

int prepare(int wanted) {
  if (pool.load() == nullptr) pool = new Pool;
  return pool.load()->prepare(wanted);
}

int startable() {
  const Pool* const known = pool.load();
  return known == nullptr ? most_threads : known->startable();
}

void run(const Phase& phase, int threads) { pool.load()->run(phase, threads); }

void forget() { pool = nullptr; }

}  // namespace fusedoptim::pool
