// What a matrix rule is written with: one that keeps numbers for the lines and columns of a tensor. It has
//   n_passes               over the whole tensor
//   pass<p>(Line)          on each piece of each line; all of them read the gradient, the last one writes the weight
//   close<p>(span, grid, notes)  after each pass: what follows for the whole tensor
#pragma once
#include "lanes.hpp"

namespace {

using fusedoptim::Grid;
using fusedoptim::Notes;
using fusedoptim::Span;

// One of some lines, or a piece of one, of n <= chunk elements.
template <class T>
struct Line {
  const Span& span;
  const Grid& grid;
  std::size_t line, column, n;
  const T* g;
  T scale;
  Sums& note;       // of the line
  double* columns;  // of its band, from `column` on

  Line(const fusedoptim::Lines& of, std::size_t k)
      : span(of.span), grid(of.grid), line(of.line + k), column(of.column),
        n(smaller(of.n - k * of.grid.columns, of.grid.columns)), g(static_cast<const T*>(of.g) + k * of.grid.columns),
        scale(T(of.scale)), note(of.notes[k]), columns(of.columns) {}

  std::size_t offset() const { return line * grid.columns + column; }
  std::size_t matrix() const { return line / grid.of_matrix; }
  T* weight() const { return static_cast<T*>(span.arrays[0]) + offset(); }
  T* state(int k) const { return static_cast<T*>(span.arrays[2 + k]); }
  auto gradient() const {
    return [g = g, scale = scale](std::size_t i) { return scale * g[i]; };
  }
};

inline bool is_vector(const Grid& grid) { return grid.n_axes < 2; }
inline std::size_t bands_of_matrix(const Grid& grid) { return (grid.of_matrix + grid.band - 1) / grid.band; }

// Which band of the tensor a line is in.
inline std::size_t band_of(const Grid& grid, std::size_t line) {
  return line / grid.of_matrix * bands_of_matrix(grid) + line % grid.of_matrix / grid.band;
}

}  // namespace
