// The kernel table: the only types that cross from the code compiled once per instruction set to the rest.
#pragma once

#include <cstddef>
#include <limits>

namespace fusedoptim {

constexpr int max_state = 6;
constexpr int max_hyper = 14;
constexpr int n_dtypes = 2;  // float32, float64: the order of every array indexed by dtype

// The values a hyper-parameter may take; errors.py has the words.
enum class Domain {
  real,          // finite
  positive,      // finite, > 0
  non_negative,  // finite, >= 0
  unit,          // in [0, 1)
  step,          // a whole number >= 1, or inf
  count,         // a whole number >= 1
  limit,         // > 0, or inf
  non_positive,  // finite, <= 0
  choice,        // >= 0; inf leaves the choice to the rule
  rows,          // not passed, comes last: the number of rows of the state array
};

struct Hyper {
  const char* name;
  double fallback;
  Domain domain;
};

// What a state array has a number for. The order is that of KINDS in errors.py.
enum class Shape {
  weight,   // each element of the weight
  ring,     // the same, for each of several past steps
  tensor,   // the weight as a whole: an array without axes
  row,      // each index of the weight's first axis; one number where it has none
  rows,     // each row of the last axis: the weight's shape with 1 in its place; a vector's own
  columns,  // each column of the last two axes: 1 in the place of the last but one; without axes for a vector
  axes,     // each index of each axis, one axis after the other; one number if there is no axis
  scratch,  // each element of the weight, for the time of a step; no part of the state
};

struct State {
  const char* name;
  Shape shape = Shape::weight;
};

// What a rule is called, keeps and takes. A name of nullptr ends each list.
struct Signature {
  const char* name;
  State state[max_state + 1];
  Hyper hyper[max_hyper + 1];
};

// What a group of tensors is stepped with.
struct Settings {
  double hyper[max_hyper];
  double scale = 1;  // of the gradient
  double count = 1;  // gradients in the mean
  double clip_value = std::numeric_limits<double>::infinity();
  double l2 = 0;
  double ema_decay = 0;
  bool zero_grads = false;
};

// One tensor: its arrays in the order of the rule's arguments (w, g, state...), of n elements each.
struct Span {
  void* arrays[2 + max_state];
  std::size_t n;
  const Settings* settings;
  const std::size_t* axes = nullptr;
  std::size_t n_axes = 0;
  std::size_t row = 1;       // elements of one index of the first axis
  void* grad_sum = nullptr;  // the sum of the gradients before this one, where a step takes their mean
  void* ema = nullptr;       // the running average of the weight, where one is kept
  double factor = 0;         // what a measured rule made of the sums over the tensor
};

// Sums of squares.
struct Sums {
  double x[2] = {0, 0};
};

// A run of n elements through consecutive spans, from element `offset` of the first.
struct Share {
  std::size_t offset, n;
};

using Update = void (*)(const Span* first, Share share);

// The sums of squares over one chunk of a tensor: of its gradient, or of what a rule measures.
using Measure = Sums (*)(const Span& span, std::size_t offset, std::size_t n);
constexpr std::size_t chunk = 4096;

// Takes the sums over the whole tensor, and leaves their factor.
using Settle = void (*)(Span& span, const Sums& sums);

// What a pass over memory reads and writes: bit k is array k of w, g, state..., where it has a number for each element.
struct Moved {
  unsigned reads = 0, writes = 0;
};

// A tensor as a matrix rule sees it: rows of the last axis; matrices of the last two; and bands, consecutive rows of
// one matrix whose columns are reduced together. A vector's rows are its chunks, of which the last may be shorter.
struct Grid {
  std::size_t rows, columns;  // `columns` in a row
  std::size_t of_matrix;      // rows of a matrix
  std::size_t band;           // rows of a band, of which the last of a matrix may have fewer
  const std::size_t* axes;
  std::size_t n_axes;
};

// What a matrix rule notes about a tensor, for the time of a step.
struct Notes {
  Sums* rows;       // two numbers for each row
  double* columns;  // one for each column of each band, 0 at first; none for a vector
};

// One pass of a matrix rule over consecutive rows, and what follows when the pass is over.
using MatrixPass = void (*)(const Span& span, const Grid& grid, Share rows, const Notes& notes);
using Close = void (*)(Span& span, const Grid& grid, const Notes& notes);
constexpr int max_passes = 3;

struct Row {
  const Signature* signature;
  int n_state;
  int n_hyper;              // 0: a helper, not an optimizer
  bool by_row;              // no row of a tensor may be cut
  Moved moved[max_passes];  // by each pass
  Update update[n_dtypes];
  Measure measure[n_dtypes];  // the first pass of a rule that has two over whole tensors, else null
  Settle settle[n_dtypes];
  int n_passes;  // of a matrix rule, which has these instead of the update; else 0
  MatrixPass pass[max_passes][n_dtypes];
  Close close[max_passes][n_dtypes];
};

struct Table {
  const char* isa;
  const Row* rows;
  std::size_t n_rows;
  Measure square_sum[n_dtypes];
};

}  // namespace fusedoptim
