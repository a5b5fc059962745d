#include "cut.hpp"

#include <algorithm>
#include <cstdint>

namespace fusedoptim {

namespace {

std::size_t ceil_div(std::size_t a, std::size_t b) { return (a + b - 1) / b; }

std::size_t band_start(const Grid& grid, std::size_t line) { return line - line % grid.of_matrix % grid.band; }

std::size_t rounded_down(const Rule& rule, const Span& span, std::size_t offset) {
  if (rule.n_passes > 0) {
    const Grid grid = grid_of(span);
    return band_start(grid, offset / grid.columns) * grid.columns;
  }
  if (rule.by_row) return offset - offset % span.row;
  if (span.narrow != nullptr) return offset - offset % block;
  const std::size_t item = span.dtype == 0 ? sizeof(float) : sizeof(double);
  const std::size_t place = reinterpret_cast<std::uintptr_t>(span.arrays[0]) / item + offset;  // in elements
  return offset - std::min(offset, place % (64 / item));
}

}  // namespace

void Work::add(const Span& span) {
  spans.push_back(span);
  starts.push_back(starts.back() + span.n);
  chunks.push_back(chunks.back() + chunks_of(span.n));
  if (span.dtype == 0) float32_end = starts.back();
}

void Work::add_repeat(void* sum, void* g, std::size_t n, int dtype) {
  static const Settings plain = {};
  repeats.push_back({{sum, g}, n, dtype, &plain});
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

std::size_t chunks_of(std::size_t n) { return ceil_div(n, chunk); }

std::size_t even(std::size_t total, std::size_t k, std::size_t count) {
  return total / count * k + total % count * k / count;
}

std::size_t span_at(const std::vector<std::size_t>& starts, std::size_t element) {
  return std::size_t(std::upper_bound(starts.begin(), starts.end() - 1, element) - starts.begin()) - 1;
}

std::size_t cut(const Work& work, const Rule& rule, std::size_t k, std::size_t count) {
  if (k == 0) return 0;
  if (k == count) return work.n();
  const std::size_t element = even(work.n(), k, count), at = span_at(work.starts, element);
  return work.starts[at] + rounded_down(rule, work.spans[at], element - work.starts[at]);
}

std::size_t cut(const std::vector<Span>& repeats, std::size_t k, std::size_t count) {
  std::size_t at = even(repeats.size(), k, count);
  while (at > 0 && at < repeats.size() && repeats[at].arrays[0] == repeats[at - 1].arrays[0]) --at;
  return at;
}

// Bands of 16384 elements, but no more than 64 of a matrix, so that the sums of their columns stay small.
Grid grid_of(const Span& span) {
  Grid grid = {0, chunk, 0, 0, span.axes, span.n_axes};
  if (span.n_axes >= 2) grid.columns = span.axes[span.n_axes - 1];
  grid.lines = ceil_div(span.n, grid.columns);
  grid.of_matrix = span.n_axes >= 2 ? span.axes[span.n_axes - 2] : grid.lines;
  grid.band = std::max(ceil_div(4 * chunk, grid.columns), ceil_div(grid.of_matrix, 64));
  return grid;
}

Notebook::Notebook(const Rule& rule, const Work& work) {
  if (rule.n_passes == 0) return;
  std::size_t lines = 0, columns = 0;
  for (const Span& span : work.spans) {
    at.push_back({lines, columns});
    if (span.n == 0) continue;
    const Grid grid = grid_of(span);
    lines += grid.lines;
    if (grid.n_axes >= 2) columns += span.n / grid.of_matrix * ceil_div(grid.of_matrix, grid.band);
  }
  of_lines.resize(lines);
  of_columns.resize(columns);
}

}  // namespace fusedoptim
