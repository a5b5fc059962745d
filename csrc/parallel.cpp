#include "parallel.hpp"

#include <pthread.h>

#include <algorithm>

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

// The same, moved down to a multiple of 64 bytes, or of a row, from the start of its tensor.
std::size_t cut(const Work& work, bool by_row, std::size_t k, std::size_t count) {
  constexpr std::size_t line = 64 / sizeof(float);
  if (k == count) return work.starts.back();
  const std::size_t element = even(work.starts.back(), k, count), at = span_at(work.starts, element);
  return element - (element - work.starts[at]) % (by_row ? work.spans[at].row : line);
}

void update_share(const Work& work, Update update, bool by_row, std::size_t k, std::size_t count) {
  if (work.starts.back() == 0) return;
  const std::size_t begin = cut(work, by_row, k, count), end = cut(work, by_row, k + 1, count);
  if (begin == end) return;
  const std::size_t first = span_at(work.starts, begin);
  update(&work.spans[first], {begin - work.starts[first], end - begin});
}

// Share k of `count` of the sums begins with the first part of one.
std::size_t cut(const std::vector<Span>& repeats, std::size_t k, std::size_t count) {
  std::size_t at = even(repeats.size(), k, count);
  while (at > 0 && at < repeats.size() && repeats[at].arrays[0] == repeats[at - 1].arrays[0]) --at;
  return at;
}

void sum_share(const Work& work, Update add, std::size_t k, std::size_t count) {
  const std::size_t begin = cut(work.repeats, k, count), end = cut(work.repeats, k + 1, count);
  std::size_t n = 0;
  for (std::size_t at = begin; at < end; ++at) n += work.repeats[at].n;
  if (n > 0) add(&work.repeats[begin], {0, n});
}

void measure_share(const Work& work, Measure measure, Sums* sums, std::size_t k, std::size_t count) {
  const std::size_t total = work.chunks.back();
  for (std::size_t c = even(total, k, count); c < even(total, k + 1, count); ++c) {
    const std::size_t at = span_at(work.chunks, c), offset = (c - work.chunks[at]) * chunk;
    sums[c] = measure(work.spans[at], offset, std::min(chunk, work.spans[at].n - offset));
  }
}

Sums total(const Sums* begin, const Sums* end) {
  Sums sums;
  for (; begin != end; ++begin)
    for (int k = 0; k < 2; ++k) sums.x[k] += begin->x[k];
  return sums;
}

void settle_all(Work& work, Settle settle, const Sums* sums) {
  for (std::size_t at = 0; at < work.spans.size(); ++at)
    settle(work.spans[at], total(sums + work.chunks[at], sums + work.chunks[at + 1]));
}

}  // namespace

void set_default_threads(int n) { default_threads = n; }
void set_cpu_quota(int n) { cpu_quota = n; }

void Work::add(const Span& span) {
  spans.push_back(span);
  starts.push_back(starts.back() + span.n);
  chunks.push_back(chunks.back() + (span.n + chunk - 1) / chunk);
}

void Work::add_repeat(void* sum, void* g, std::size_t n) {
  static const Settings plain = {};
  repeats.push_back({{sum, g}, n, &plain});
  n_repeats += n;
}

char* Work::new_sums(std::size_t bytes) {
  sums.emplace_back(new char[bytes]);  // not made zero: most of it may stay unused
  return sums.back().get();
}

void Work::reserve(std::size_t more_spans) {
  spans.reserve(spans.size() + more_spans);
  starts.reserve(starts.size() + more_spans);
  chunks.reserve(chunks.size() + more_spans);
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

void run(Work* works, const Row& row, const std::function<bool(double)>& decide, int requested) {
  std::size_t n = 0, n_repeats = 0;
  for (int d = 0; d < n_dtypes; ++d) n += works[d].starts.back(), n_repeats += works[d].n_repeats;
  const int team = n + n_repeats < parallel_threshold ? 1 : num_threads(requested);
  // As many shares as threads were wanted, so that one machine cuts the work as a larger one would.
  const auto shares = std::size_t(team == 1 ? 1 : (wanted_threads(requested) + team - 1) / team * team);
  const bool measured = row.measure[0] != nullptr;
  std::vector<Sums> sums[n_dtypes];
  for (int d = 0; (decide || measured) && d < n_dtypes; ++d) sums[d].resize(works[d].chunks.back());
  bool go = true;

  const auto add_up = [&](std::size_t k) {
    const Row& sum = active_table().rows[row_index("accumulate")];
    for (int d = 0; d < n_dtypes; ++d) sum_share(works[d], sum.update[d], k, shares);
  };
  const auto measure = [&](const Measure* measures, std::size_t k) {
    for (int d = 0; d < n_dtypes; ++d) measure_share(works[d], measures[d], sums[d].data(), k, shares);
  };
  const auto choose = [&] {
    Sums all;
    for (const auto& of_dtype : sums)
      for (const Sums& each : of_dtype) all.x[0] += each.x[0];
    go = decide(all.x[0]);
  };
  const auto settle = [&] {
    for (int d = 0; d < n_dtypes; ++d) settle_all(works[d], row.settle[d], sums[d].data());
  };
  const auto update = [&](std::size_t k) {
    for (int d = 0; d < n_dtypes; ++d) update_share(works[d], row.update[d], row.by_row, k, shares);
  };

  if (team == 1) {
    if (n_repeats > 0) add_up(0);
    if (decide) measure(active_table().square_sum, 0), choose();
    if (go && measured) measure(row.measure, 0), settle();
    if (go) update(0);
    return;
  }
#pragma omp parallel num_threads(team)
  {
    const auto first = std::size_t(omp_get_thread_num()), threads = std::size_t(omp_get_num_threads());
    if (n_repeats > 0) {
      for (std::size_t k = first; k < shares; k += threads) add_up(k);
#pragma omp barrier
    }
    if (decide) {
      for (std::size_t k = first; k < shares; k += threads) measure(active_table().square_sum, k);
#pragma omp barrier
#pragma omp single
      choose();
    }
    if (go && measured) {
      for (std::size_t k = first; k < shares; k += threads) measure(row.measure, k);
#pragma omp barrier
#pragma omp single
      settle();
    }
    for (std::size_t k = first; go && k < shares; k += threads) update(k);
  }
}

}  // namespace fusedoptim
