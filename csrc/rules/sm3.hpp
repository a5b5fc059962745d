// SM3: Adagrad with one number for each index of each axis, from which an element takes the least. Anil et al. 2019,
// SM3-II, arXiv:1901.11150; with a running average of the direction.
//   n = g^2 + min of v over the element's indices       one for each axis
//   v <- max of n over the elements with this index
//   m <- momentum m + (1 - momentum) g / sqrt(n + eps_root)   0 where n is 0
//   w <- w - lr m
// As in optax. One pass, which notes the maxima aside while v is read.
#pragma once
#include "kernel/matrix.hpp"

namespace {

template <class T>
struct SM3 {
  static constexpr Signature signature = {
      "sm3", {{"m"}, {"v", Shape::axes}}, {hyper::lr(0.1), hyper::momentum(0.9), hyper::eps_root(1e-8)}};
  static constexpr int n_passes = 1;
  static constexpr Moved moved[n_passes] = {{0b111, 0b101}};
  double lr, momentum, eps_root;

  template <int>
  void pass(const Line<T>& at) const {
    T* v = at.state(1);
    if (is_vector(at.grid)) {
      v += at.offset();
      step(at, 0, at.n, v, [=](std::size_t i) { return v[i]; });
    } else {
      const T least = of_line(at.grid, v, at.line, [](T& least, T& other) { least = smaller(least, other); });
      const T* last = v + before_last(at.grid) + at.column;
      constexpr std::size_t tile = 1024;
      T n[tile];
      for (std::size_t first = 0, size; first < at.n; first += size) {
        size = smaller(at.n - first, tile);
        step(at, first, size, n, [=](std::size_t i) { return smaller(least, last[i]); });
        double* columns = at.columns + first;
#pragma omp simd
        for (std::size_t i = 0; i < size; ++i) columns[i] = larger(columns[i], double(n[i]));
        const double most = largest(size, n);
        at.note.x[0] = at.column + first > 0 ? larger(at.note.x[0], most) : most;
      }
    }
  }

  // Some elements of a line, and into n what each makes of v.
  template <class Least>
  void step(const Line<T>& at, std::size_t first, std::size_t size, T* n, Least least) const {
    const auto g = at.gradient();
    T *w = at.weight() + first, *m = at.state(0) + at.offset() + first;
#pragma omp simd
    for (std::size_t i = 0; i < size; ++i) {
      const T each = g(first + i);
      n[i] = each * each + least(first + i);
      m[i] = T(momentum) * m[i] + T(1 - momentum) * (each / root(n[i] > 0 ? n[i] + T(eps_root) : 1));
      w[i] = w[i] - T(lr) * m[i];
    }
  }

  template <int>
  void close(Span& span, const Grid& grid, const Notes& notes) const {
    if (is_vector(grid)) return;
    T* v = static_cast<T*>(span.arrays[3]);
    T* last = v + before_last(grid);
    for (T* x = v; x < last + grid.columns; ++x) *x = 0;
    for (std::size_t line = 0; line < grid.lines; ++line)
      of_line(grid, v, line, [most = T(notes.lines[line].x[0])](T&, T& x) { x = larger(x, most); });
    const std::size_t bands = grid.lines / grid.of_matrix * bands_of_matrix(grid);
    for (std::size_t band = 0; band < bands; ++band)
#pragma omp simd
      for (std::size_t j = 0; j < grid.columns; ++j)
        last[j] = larger(last[j], T(notes.columns[band * grid.columns + j]));
  }

  static std::size_t before_last(const Grid& grid) {
    std::size_t n = 0;
    for (std::size_t axis = 0; axis + 1 < grid.n_axes; ++axis) n += grid.axes[axis];
    return n;
  }

  // Calls visit(result, number) for the numbers of a line's indices, of all axes but the last.
  template <class Visit>
  static T of_line(const Grid& grid, T* v, std::size_t line, Visit visit) {
    T result = std::numeric_limits<T>::infinity();
    v += before_last(grid);
    for (std::size_t axis = grid.n_axes - 1; axis-- > 0; line /= grid.axes[axis]) {
      v -= grid.axes[axis];
      visit(result, v[line % grid.axes[axis]]);
    }
    return result;
  }
};

}  // namespace
