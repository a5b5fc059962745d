// Adafactor: RMSProp with the running average of g^2 factored into those of rows and columns, a clipped update, and
// steps relative to the weight. Shazeer & Stern 2018, Algorithms 4 to 6, arXiv:1804.04235.
//   beta2 = 1 - t^beta2_decay
//   R <- beta2 R + (1 - beta2) mean of g^2 over each row
//   C <- beta2 C + (1 - beta2) mean of g^2 over each column
//   v = R C / max(mean of R, eps1)          of a vector v <- beta2 v + (1 - beta2) g^2
//   u = g / max(sqrt(v), eps1)
//   w <- w - (lr weight_decay w + min(lr, 1 / sqrt(t)) max(eps2, rms(w)) u / max(1, rms(u) / d))
// As in torch: the paper adds eps1 to g^2, and has 0.01 for lr and no decay. Three passes: sums of g^2 and w^2, those
// of u^2, and the write.
#pragma once
#include "kernel/matrix.hpp"

namespace {

template <class T>
struct Adafactor {
  static constexpr Signature signature = {"adafactor",
                                          {{"row_var", Shape::lines}, {"col_var", Shape::columns}},
                                          {hyper::lr(1e-2),
                                           {"beta2_decay", -0.8, Domain::non_positive},
                                           {"eps1", std::numeric_limits<double>::infinity(), Domain::choice},
                                           {"eps2", 1e-3, Domain::non_negative},
                                           {"d", 1, Domain::positive},
                                           hyper::weight_decay(0),
                                           {"t", 1, Domain::count}}};
  static constexpr int n_passes = 3;
  static constexpr Moved moved[n_passes] = {{0b11, 0}, {0b10, 0}, {0b11, 0b01}};
  double lr, beta2_decay, eps1, eps2, d, weight_decay, t;
  double rate = lr < 1 / sqrt(t) ? lr : 1 / sqrt(t), rest = power(t, beta2_decay);
  double least = eps1 < std::numeric_limits<double>::infinity() ? eps1 : double(std::numeric_limits<T>::epsilon());

  T averaged(T v, T square) const { return T(1 - rest) * v + T(rest) * square; }
  T direction(T g, T v) const { return g / root(larger(v, T(least * least))); }

  template <int p>
  void pass(const Line<T>& at) const {
    if constexpr (p == 0)
      sum_squares(at);
    else if (is_vector(at.grid))
      step<p>(at, [v = at.state(0) + at.offset()](std::size_t i) { return v[i]; });
    else
      step<p>(at, [r = T(at.note.x[1]), c = at.state(1) + at.matrix() * at.grid.columns + at.column](std::size_t i) {
        return r * c[i];
      });
  }

  void sum_squares(const Line<T>& at) const {
    const auto g = at.gradient();
    const T* w = at.weight();
    if (is_vector(at.grid)) {
      T* v = at.state(0) + at.offset();
#pragma omp simd
      for (std::size_t i = 0; i < at.n; ++i) v[i] = averaged(v[i], g(i) * g(i));
      add(at, 0, sum_in_lanes(at.n, [=](std::size_t i) { return Terms<T, 1>{w[i]}; }));
    } else {
      double* columns = at.columns;
#pragma omp simd
      for (std::size_t i = 0; i < at.n; ++i) columns[i] += double(g(i)) * double(g(i));
      const Sums sums = sum_in_lanes(at.n, [=](std::size_t i) { return Terms<T, 2>{w[i], g(i)}; });
      add(at, 0, sums);
      add(at, 1, {{sums.x[1]}});
    }
  }

  template <int p, class Variance>
  void step(const Line<T>& at, Variance v) const {
    const auto g = at.gradient();
    if constexpr (p == 1) {
      add(at, 0, sum_in_lanes(at.n, [=](std::size_t i) { return Terms<T, 1>{direction(g(i), v(i))}; }));
    } else {
      T* w = at.weight();
      const T factor = T(at.span.factor);
#pragma omp simd
      for (std::size_t i = 0; i < at.n; ++i)
        w[i] = w[i] - (T(lr * weight_decay) * w[i] + factor * direction(g(i), v(i)));
    }
  }

  // Adds the first sum to note k of the line, which begins with its first piece.
  void add(const Line<T>& at, int k, const Sums& sums) const {
    at.note.x[k] = (at.column > 0 ? at.note.x[k] : 0) + sums.x[0];
  }

  template <int p>
  void close(Span& span, const Grid& grid, const Notes& notes) const {
    double total = 0;
    for (std::size_t line = 0; line < grid.lines; ++line) total += notes.lines[line].x[0];
    const double rms = sqrt(total / double(span.n));
    if constexpr (p == 0) {
      span.factor = rate * (rms > eps2 ? rms : eps2);
      if (!is_vector(grid)) average_factors(span, grid, notes);
    } else if constexpr (p == 1)
      span.factor = span.factor / (rms / d > 1 ? rms / d : 1);
  }

  // Leaves in note 1 of each line what the columns are multiplied by.
  void average_factors(const Span& span, const Grid& grid, const Notes& notes) const {
    T* r = static_cast<T*>(span.arrays[2]);
    T* c = static_cast<T*>(span.arrays[3]);
    const std::size_t bands = bands_of_matrix(grid);
    for (std::size_t first = 0; first < grid.lines; first += grid.of_matrix, c += grid.columns) {
      double total = 0;
      for (std::size_t line = first; line < first + grid.of_matrix; ++line) {
        r[line] = averaged(r[line], T(notes.lines[line].x[1] / double(grid.columns)));
        total += r[line];
      }
      const T mean = T(larger(total / double(grid.of_matrix), least));
      for (std::size_t line = first; line < first + grid.of_matrix; ++line) notes.lines[line].x[1] = r[line] / mean;
      double* sums = notes.columns + band_of(grid, first) * grid.columns;
      for (std::size_t band = 1; band < bands; ++band)
#pragma omp simd
        for (std::size_t j = 0; j < grid.columns; ++j) sums[j] += sums[band * grid.columns + j];
#pragma omp simd
      for (std::size_t j = 0; j < grid.columns; ++j) c[j] = averaged(c[j], T(sums[j] / double(grid.of_matrix)));
    }
  }
};

}  // namespace
