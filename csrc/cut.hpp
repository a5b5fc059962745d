// The work of a step as one index space, and its cuts into shares. No sum depends on where a cut is.
#pragma once

#include <memory>
#include <vector>

#include "table.hpp"

namespace fusedoptim {

// Tensors, or rows of some. starts[k] and chunks[k] are the numbers of elements and of chunks before span k.
struct Work {
  std::vector<Span> spans;  // those of float32 first, since norms are summed in this order
  std::vector<std::size_t> starts = {0};
  std::vector<std::size_t> chunks = {0};
  std::size_t float32_end = 0;  // elements of float32
  std::vector<Span> repeats;    // sum <- sum + g, of gradients that come in parts; those of one sum lie together
  std::size_t n_repeats = 0;    // elements of them
  std::vector<std::unique_ptr<char[]>> sums;

  std::size_t n() const { return starts.back(); }
  void add(const Span& span);
  void add_repeat(void* sum, void* g, std::size_t n, int dtype);
  char* new_sums(std::size_t bytes);
  void reserve(std::size_t more_spans);
};

// Those of a tensor of so many elements.
std::size_t chunks_of(std::size_t n);

// Where share k of `count` begins, if all are of the same size.
std::size_t even(std::size_t total, std::size_t k, std::size_t count);

// The span that has an element, or a chunk.
std::size_t span_at(const std::vector<std::size_t>& starts, std::size_t element);

// Where share k of `count` begins: at a cache line of a weight, or where a row or a band begins, if the rule needs
// that.
std::size_t cut(const Work& work, const Rule& rule, std::size_t k, std::size_t count);

// The same for the gradients that come in parts: with the first part of one.
std::size_t cut(const std::vector<Span>& repeats, std::size_t k, std::size_t count);

// The lines and bands of a tensor; they depend on its shape alone.
Grid grid_of(const Span& span);

// The notes of a matrix rule about all tensors of a work.
class Notebook {
 public:
  Notebook(const Rule& rule, const Work& work);  // empty for other rules
  Notes operator[](std::size_t span) {
    return {of_lines.data() + at[span].lines, of_columns.data() + at[span].columns};
  }

 private:
  struct Place {
    std::size_t lines, columns;
  };
  std::vector<Place> at;
  std::vector<Sums> of_lines;
  std::vector<double> of_columns;
};

}  // namespace fusedoptim
