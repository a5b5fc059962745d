#include "run.hpp"

#include <algorithm>
#include <utility>

#include "flush.hpp"

namespace fusedoptim {

namespace {

const Rule& accumulate() {
  static const std::size_t index = rule_index("accumulate");
  return rule_at(index);
}

std::size_t chunks_if(bool needed, const Work& work) { return needed ? work.chunks.back() : 0; }

double* new_scratch(const Rule& rule, const Team& team) {
  const bool takes_sums = rule.measures_tensors || rule.by_row || rule.n_passes > 0;
  return takes_sums ? new double[chunk * std::size_t(team.threads)] : nullptr;
}

}  // namespace

// A phase: calls each(k, thread) for all shares, and returns when all are done.
template <class Each>
void Run::in_shares(const Each& each) const {
  fusedoptim::run(phase_of(team.shares, each), team);
}

Run::Run(Work& work, const Rule& rule, int requested_threads, bool needs_norm, Exchange exchange)
    : work(work), rule(rule), isa(active_isa()), team(team_of(work.n() + work.n_repeats, requested_threads)),
      exchange(std::move(exchange)), sums(chunks_if(needs_norm || rule.measures_tensors, work)),
      scratch(new_scratch(rule, team)), notes(rule, work) {
  if (work.n_repeats > 0) in_shares([&](std::size_t k, int) { add_up(k); });
}

double Run::square_sum() {
  in_shares([&](std::size_t k, int) {
    each_chunk(k, [&](const Span& span, std::size_t offset, std::size_t n) {
      return isa.driver[span.dtype].square_sum(span, offset, n);
    });
  });
  double all = 0;
  for (const Sums& each : sums_of_all()) all += each.x[0];
  return all;
}

void Run::update(double clip) {
  if (rule.measures_tensors) {
    in_shares([&](std::size_t k, int thread) {
      each_chunk(k, [&](const Span& span, std::size_t offset, std::size_t n) {
        return isa.driver[span.dtype].measure(rule, span, offset, n, clip, scratch_of(thread));
      });
    });
    settle();
  }
  if (rule.n_passes == 0) in_shares([&](std::size_t k, int thread) { update_share(k, thread, clip); });
  for (int p = 0; p < rule.n_passes; ++p) {
    in_shares([&](std::size_t k, int thread) { pass_share(p, k, thread, clip); });
    in_shares([&](std::size_t k, int) { close_share(p, k); });
  }
}

void Run::add_up(std::size_t k) {
  const std::size_t end = cut(work.repeats, k + 1, team.shares);
  for (std::size_t first = cut(work.repeats, k, team.shares), at = first; first < end; first = at) {
    std::size_t n = 0;
    for (; at < end && work.repeats[at].dtype == work.repeats[first].dtype; ++at) n += work.repeats[at].n;
    isa.driver[work.repeats[first].dtype].update(accumulate(), &work.repeats[first], {0, n}, 1, nullptr);
  }
}

template <class Measure>
void Run::each_chunk(std::size_t k, const Measure& measure) {
  const std::size_t total = work.chunks.back(), end = even(total, k + 1, team.shares);
  for (std::size_t c = even(total, k, team.shares); c < end; ++c) {
    const std::size_t at = span_at(work.chunks, c), offset = (c - work.chunks[at]) * chunk;
    sums[c] = measure(work.spans[at], offset, std::min(chunk, work.spans[at].n - offset));
  }
}

const std::vector<Sums>& Run::sums_of_all() {
  if (exchange == nullptr) return sums;
  return exchanged = exchange(sums);
}

// The sums over each tensor are added in the order of its chunks, by one thread.
void Run::settle() {
  const std::vector<Sums>& all = sums_of_all();
  const FlushSubnormals flush;
  for (std::size_t at = 0; at < work.spans.size(); ++at) {
    Span& span = work.spans[at];
    const Slice* const slice = span.slice;
    std::size_t c = slice != nullptr ? slice->first_chunk : work.chunks[at];
    const std::size_t end = slice != nullptr ? c + chunks_of(slice->n) : work.chunks[at + 1];
    Sums total;
    for (; c < end; ++c)
      for (int k = 0; k < 2; ++k) total.x[k] += all[c].x[k];
    span.factor = isa.driver[span.dtype].settle(rule, span, total);
  }
}

void Run::update_share(std::size_t k, int thread, double clip) {
  const std::size_t end = cut(work, rule, k + 1, team.shares);
  for (std::size_t begin = cut(work, rule, k, team.shares), stop; begin < end; begin = stop) {
    const std::size_t first = span_at(work.starts, begin);
    const int dtype = work.spans[first].dtype;
    stop = dtype == 0 ? std::min(end, work.float32_end) : end;
    const Share share = {begin - work.starts[first], stop - begin};
    isa.driver[dtype].update(rule, &work.spans[first], share, clip, scratch_of(thread));
  }
}

void Run::pass_share(int p, std::size_t k, int thread, double clip) {
  const std::size_t end = cut(work, rule, k + 1, team.shares);
  for (std::size_t begin = cut(work, rule, k, team.shares), at; begin < end; begin = work.starts[at + 1]) {
    at = span_at(work.starts, begin);
    const Span& span = work.spans[at];
    const Grid grid = grid_of(span);
    const std::size_t first = (begin - work.starts[at]) / grid.columns;
    const std::size_t n = std::min(end, work.starts[at + 1]) - work.starts[at];
    const std::size_t last = (n + grid.columns - 1) / grid.columns;
    isa.driver[span.dtype].pass(rule, p, span, grid, {first, last - first}, notes[at], clip, scratch_of(thread));
  }
}

void Run::close_share(int p, std::size_t k) {
  for (std::size_t at = k; at < work.spans.size(); at += team.shares) {
    Span& span = work.spans[at];
    if (span.n > 0) isa.driver[span.dtype].close(rule, p, span, grid_of(span), notes[at]);
  }
}

}  // namespace fusedoptim
