#include "parallel.hpp"

#include <pthread.h>

#include <algorithm>
#include <numeric>

#include "dispatch.hpp"

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

std::size_t span_at(const std::vector<std::size_t>& starts, std::size_t element) {
  return std::size_t(std::upper_bound(starts.begin(), starts.end() - 1, element) - starts.begin()) - 1;
}

// Where share k of `count` begins.
std::size_t even(std::size_t total, std::size_t k, std::size_t count) {
  return total / count * k + total % count * k / count;
}

// The same, moved down to a multiple of 64 bytes from the start of its tensor.
std::size_t cut(const std::vector<std::size_t>& starts, std::size_t k, std::size_t count) {
  constexpr std::size_t line = 64 / sizeof(float);
  if (k == count) return starts.back();
  const std::size_t element = even(starts.back(), k, count);
  return element - (element - starts[span_at(starts, element)]) % line;
}

void update_share(const Work& work, Update update, std::size_t k, std::size_t count) {
  if (work.starts.back() == 0) return;
  const std::size_t begin = cut(work.starts, k, count), end = cut(work.starts, k + 1, count);
  if (begin == end) return;
  const std::size_t first = span_at(work.starts, begin);
  update(&work.spans[first], {begin - work.starts[first], end - begin});
}

void square_share(const Work& work, SquareSum square_sum, double* sums, std::size_t k, std::size_t count) {
  const std::size_t total = work.chunks.back();
  for (std::size_t c = even(total, k, count); c < even(total, k + 1, count); ++c) {
    const std::size_t at = span_at(work.chunks, c), offset = (c - work.chunks[at]) * chunk;
    sums[c] = square_sum(work.spans[at], offset, std::min(chunk, work.spans[at].n - offset));
  }
}

}  // namespace

void set_default_threads(int n) { default_threads = n; }
void set_cpu_quota(int n) { cpu_quota = n; }

void Work::add(const Span& span) {
  spans.push_back(span);
  starts.push_back(starts.back() + span.n);
  chunks.push_back(chunks.back() + (span.n + chunk - 1) / chunk);
}

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

#else

bool has_openmp() { return false; }
static int wanted_threads(int) { return 1; }
int num_threads(int) { return 1; }
static int omp_get_thread_num() { return 0; }
static int omp_get_num_threads() { return 1; }

#endif

void run(const Work* works, const Update* updates, const std::function<bool(double)>& decide, int requested) {
  const std::size_t total = works[0].starts.back() + works[1].starts.back();
  const int team = total < parallel_threshold ? 1 : num_threads(requested);
  // As many shares as threads were wanted, so that one machine cuts the work as a larger one would.
  const auto shares = std::size_t(team == 1 ? 1 : (wanted_threads(requested) + team - 1) / team * team);
  std::vector<double> sums[n_dtypes];
  for (int d = 0; decide && d < n_dtypes; ++d) sums[d].resize(works[d].chunks.back());
  bool go = true;

  const auto square = [&](std::size_t k) {
    for (int d = 0; d < n_dtypes; ++d) square_share(works[d], active_table().square_sum[d], sums[d].data(), k, shares);
  };
  const auto choose = [&] {
    double sum = 0;
    for (const auto& of_dtype : sums) sum = std::accumulate(of_dtype.begin(), of_dtype.end(), sum);
    go = decide(sum);
  };
  const auto update = [&](std::size_t k) {
    for (int d = 0; d < n_dtypes; ++d) update_share(works[d], updates[d], k, shares);
  };

  if (team == 1) {
    if (decide) square(0), choose();
    if (go) update(0);
    return;
  }
#pragma omp parallel num_threads(team)
  {
    const auto first = std::size_t(omp_get_thread_num()), threads = std::size_t(omp_get_num_threads());
    if (decide) {
      for (std::size_t k = first; k < shares; k += threads) square(k);
#pragma omp barrier
#pragma omp single
      choose();
    }
    for (std::size_t k = first; go && k < shares; k += threads) update(k);
  }
}

}  // namespace fusedoptim
