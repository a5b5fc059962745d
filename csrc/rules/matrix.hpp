// What a matrix rule is written with: one that keeps numbers for the rows and columns of a tensor. It has
//   n_passes               over the whole tensor
//   pass<p>(Piece)         on each piece of each row; all of them read the gradient, the last one writes the weight
//   close<p>(span, grid, notes)  after each pass: what follows for the whole tensor
#pragma once
#include "lanes.hpp"

namespace {

using fusedoptim::Grid;
using fusedoptim::Notes;
using fusedoptim::Span;

// A piece of a row, of n <= chunk elements; `gradient` loads them and, in the last pass, stores 0 if it should.
template <class T, class Gradient>
struct Piece {
  const Span& span;
  const Grid& grid;
  std::size_t matrix, row, column, n;
  Gradient gradient;
  Sums& note;       // of the row
  double* columns;  // of the row's band, from `column` on; null for a vector

  std::size_t offset() const { return row * grid.columns + column; }
  T* weight() const { return static_cast<T*>(span.arrays[0]) + offset(); }
  T* state(int k) const { return static_cast<T*>(span.arrays[2 + k]); }
};

inline bool is_vector(const Grid& grid) { return grid.n_axes < 2; }
inline std::size_t bands_of_matrix(const Grid& grid) { return (grid.of_matrix + grid.band - 1) / grid.band; }

// Which band of the tensor a row is in.
inline std::size_t band_of(const Grid& grid, std::size_t row) {
  return row / grid.of_matrix * bands_of_matrix(grid) + row % grid.of_matrix / grid.band;
}

// How many rows it and the rest of its band are.
inline std::size_t left_of_band(const Grid& grid, std::size_t row) {
  const std::size_t in_matrix = row % grid.of_matrix, in_band = in_matrix % grid.band;
  const std::size_t of_band = grid.band - in_band, of_matrix = grid.of_matrix - in_matrix;
  return of_band < of_matrix ? of_band : of_matrix;
}

}  // namespace
