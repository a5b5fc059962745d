#include "parallel.hpp"

#ifndef _WIN32
#include <pthread.h>
#endif

#include <algorithm>
#include <atomic>

#include "dispatch.hpp"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace fusedoptim {

namespace {

std::atomic<int> default_threads{0};  // both are set while steps of other threads may run
std::atomic<int> cpu_quota{0};

// GNU OpenMP's worker threads do not survive a fork: a region in the child would wait for them for ever.
bool forked_child = false;
#ifndef _WIN32
const int at_fork = pthread_atfork(nullptr, nullptr, [] { forked_child = true; });
#endif

std::size_t span_at(const std::vector<std::size_t>& starts, std::size_t element) {
  return std::size_t(std::upper_bound(starts.begin(), starts.end() - 1, element) - starts.begin()) - 1;
}

// Where share k of `count` begins.
std::size_t even(std::size_t total, std::size_t k, std::size_t count) {
  return total / count * k + total % count * k / count;
}

std::size_t ceil_div(std::size_t a, std::size_t b) { return (a + b - 1) / b; }

// The shape of the sums over columns: bands of 16384 elements, but no more than 64 of a matrix, that they stay small.
Grid grid_of(const Span& span) {
  Grid grid = {0, chunk, 0, 0, span.axes, span.n_axes};
  if (span.n_axes >= 2) grid.columns = span.axes[span.n_axes - 1];
  grid.rows = ceil_div(span.n, grid.columns);
  grid.of_matrix = span.n_axes >= 2 ? span.axes[span.n_axes - 2] : grid.rows;
  grid.band = std::max(ceil_div(4 * chunk, grid.columns), ceil_div(grid.of_matrix, 64));
  return grid;
}

std::size_t band_start(const Grid& grid, std::size_t row) { return row - row % grid.of_matrix % grid.band; }

// Moved down to a multiple of 64 bytes, or to where a row or band begins, from the start of its tensor.
std::size_t rounded(const Row& row, const Span& span, std::size_t offset) {
  constexpr std::size_t line = 64 / sizeof(float);
  if (row.n_passes > 0) {
    const Grid grid = grid_of(span);
    return band_start(grid, offset / grid.columns) * grid.columns;
  }
  return offset - offset % (row.by_row ? span.row : line);
}

// Where share k begins, rounded.
std::size_t cut(const Work& work, const Row& row, std::size_t k, std::size_t count) {
  if (k == count) return work.starts.back();
  const std::size_t element = even(work.starts.back(), k, count), at = span_at(work.starts, element);
  return work.starts[at] + rounded(row, work.spans[at], element - work.starts[at]);
}

void update_share(const Work& work, const Row& row, Update update, std::size_t k, std::size_t count) {
  if (work.starts.back() == 0) return;
  const std::size_t begin = cut(work, row, k, count), end = cut(work, row, k + 1, count);
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

// The notes of a matrix rule about all tensors of a work.
class Notebook {
 public:
  explicit Notebook(const Work& work) {
    std::size_t rows = 0, columns = 0;
    for (const Span& span : work.spans) {
      at.push_back({rows, columns});
      if (span.n == 0) continue;
      const Grid grid = grid_of(span);
      rows += grid.rows;
      if (grid.n_axes >= 2) columns += span.n / grid.of_matrix * ceil_div(grid.of_matrix, grid.band);
    }
    of_rows.resize(rows);
    of_columns.resize(columns);
  }

  Notes operator[](std::size_t span) { return {of_rows.data() + at[span].rows, of_columns.data() + at[span].columns}; }

 private:
  struct Place {
    std::size_t rows, columns;
  };
  std::vector<Place> at;
  std::vector<Sums> of_rows;
  std::vector<double> of_columns;
};

void pass_share(const Work& work, const Row& row, MatrixPass pass, Notebook& notes, std::size_t k, std::size_t count) {
  if (work.starts.back() == 0) return;
  std::size_t begin = cut(work, row, k, count);
  const std::size_t end = cut(work, row, k + 1, count);
  for (std::size_t at; begin < end; begin = work.starts[at + 1]) {
    at = span_at(work.starts, begin);
    const Grid grid = grid_of(work.spans[at]);
    const std::size_t first = (begin - work.starts[at]) / grid.columns;
    const std::size_t last = ceil_div(std::min(end, work.starts[at + 1]) - work.starts[at], grid.columns);
    pass(work.spans[at], grid, {first, last - first}, notes[at]);
  }
}

void close_share(Work& work, Close close, Notebook& notes, std::size_t k, std::size_t count) {
  for (std::size_t at = k; at < work.spans.size(); at += count)
    if (work.spans[at].n > 0) close(work.spans[at], grid_of(work.spans[at]), notes[at]);
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

namespace {

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

int wanted_threads(int requested) { return wanted(requested).n; }

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

// The team of a region: all that is granted, or this thread alone. OpenMP keeps a team for each thread that begins
// regions.
int team_of(int requested) {
  thread_local int last = 1;
  const int n = granted(requested).n;
  if (n > last && !can_start(n - 1)) return 1;
  return n == 1 ? 1 : last = n;
}

}  // namespace

int num_threads(int requested) { return granted(requested).n; }
const char* threads_set_by() { return granted(0).name; }
int num_cpus() { return omp_get_num_procs(); }

#else

bool has_openmp() { return false; }
static int wanted_threads(int) { return 1; }
static int team_of(int) { return 1; }
int num_threads(int) { return 1; }
const char* threads_set_by() { return "no openmp"; }
int num_cpus() { return 1; }
static int omp_get_thread_num() { return 0; }
static int omp_get_num_threads() { return 1; }

#endif

void run(Work* works, const Row& row, const std::function<bool(double)>& decide, int requested) {
  std::size_t n = 0, n_repeats = 0;
  for (int d = 0; d < n_dtypes; ++d) n += works[d].starts.back(), n_repeats += works[d].n_repeats;
  const int team = n + n_repeats < parallel_threshold ? 1 : team_of(requested);
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
    for (int d = 0; d < n_dtypes; ++d) update_share(works[d], row, row.update[d], k, shares);
  };
  std::vector<Notebook> notes;
  for (int d = 0; row.n_passes > 0 && d < n_dtypes; ++d) notes.emplace_back(works[d]);
  const auto pass = [&](int p, std::size_t k) {
    for (int d = 0; d < n_dtypes; ++d) pass_share(works[d], row, row.pass[p][d], notes[std::size_t(d)], k, shares);
  };
  const auto close = [&](int p, std::size_t k) {
    for (int d = 0; d < n_dtypes; ++d) close_share(works[d], row.close[p][d], notes[std::size_t(d)], k, shares);
  };

  if (team == 1) {
    if (n_repeats > 0) add_up(0);
    if (decide) measure(active_table().square_sum, 0), choose();
    if (go && measured) measure(row.measure, 0), settle();
    if (go && row.n_passes == 0) update(0);
    for (int p = 0; go && p < row.n_passes; ++p) pass(p, 0), close(p, 0);
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
    for (std::size_t k = first; go && row.n_passes == 0 && k < shares; k += threads) update(k);
    for (int p = 0; go && p < row.n_passes; ++p) {
      for (std::size_t k = first; k < shares; k += threads) pass(p, k);
#pragma omp barrier
      for (std::size_t k = first; k < shares; k += threads) close(p, k);
#pragma omp barrier
    }
  }
}

}  // namespace fusedoptim
