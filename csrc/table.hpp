// The table of rules: the only types that cross from the code compiled once per instruction set to the rest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "noise.hpp"

namespace fusedoptim {

constexpr int max_state = 6;
constexpr int max_hyper = 14;
constexpr int n_dtypes = 2;  // float32, float64: the order of every array indexed by dtype

// The values a hyper-parameter may take; arrays.cpp has the words.
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
  slots,         // not passed, comes last: the number of slots of the ring
};

struct Hyper {
  const char* name;
  double fallback;
  Domain domain;
};

// What a state array has a number for; arrays.cpp has the shapes.
enum class Shape {
  weight,   // each element of the weight
  ring,     // the same, for each of several past steps: its slots
  tensor,   // the weight as a whole: an array without axes
  row,      // each row of the weight, an index of its first axis; one number where it has none
  lines,    // each line, of the last axis: the weight's shape with 1 in its place; a vector's own
  columns,  // each column of the last two axes: 1 in the place of the last but one; without axes for a vector
  axes,     // each index of each axis, one axis after the other; one number if there is no axis
  scratch,  // each element of the weight, for the time of a step; no part of the state
};

// How the numbers of an array lie in memory; kernel/formats.hpp says what they are. `native` is the dtype of the step.
enum class Storage : unsigned char { native, bfloat16, float16, split, e4m3, e5m3 };

constexpr std::size_t block =
    256;  // numbers that have a scale in common, and the tile that is loaded and stored at once

// Bytes of a number, native ones apart; and where in what belongs to the array that of number i is.
constexpr std::size_t bytes_of(Storage storage) { return storage >= Storage::e4m3 ? 1 : 2; }
constexpr std::size_t more_at(Storage storage, std::size_t i) {
  return storage == Storage::split ? 2 * i : storage >= Storage::e4m3 ? i / block * sizeof(float) : 0;
}

// Whether a state may lie in few bits, and in which: of an average that is lossy the mean must stay. Not of a count, a
// sum that only grows, a number for many elements.
enum class Narrows : unsigned char { no, any_sign, not_negative };

struct State {
  const char* name;
  Shape shape = Shape::weight;
  bool begins_with_weight = false;  // at the first step of the weight; others are set where the optimizer is made
  Narrows narrows = Narrows::no;
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
  double ema_weight = 1;  // of the newest weight in the average
  bool zero_grads = false;
  std::uint64_t seed = 0, step = 0;  // what random bits are made of, beside the tensor and the element
};

// How a tensor lies in memory whose step is in float32.
struct Narrow {
  Storage storage[2 + max_state] = {};
  bool is_random[2 + max_state] = {};  // whether it is stored with random bits, or to nearest
  void* more[2 + max_state] = {};
  Storage copied = Storage::native;  // what the copy of the weight is in, if there is one
  void* copy = nullptr;
  std::uint64_t tensor = 0;  // its number

  bool is_plain() const {
    for (const Storage each : storage)
      if (each != Storage::native) return false;
    return copy == nullptr;
  }
};

// A slice of a tensor that lies with several processes.
struct Slice {
  std::size_t tensor, begin, n;  // its number, where the slice begins in it, and its elements
  std::size_t first_chunk = 0;   // where its chunks begin among those of all
};

// One tensor: its arrays in the order of the rule's arguments (w, g, state...), of n elements each.
struct Span {
  void* arrays[2 + max_state];
  std::size_t n;
  int dtype;
  const Settings* settings;
  const std::size_t* axes = nullptr;
  std::size_t n_axes = 0;
  std::size_t row = 1;       // elements of a row
  void* grad_sum = nullptr;  // the sum of the gradients before this one, where a step takes their mean
  void* ema = nullptr;       // the running average of the weight, where one is kept
  double factor = 0;         // what a rule that measures made of the sums over the tensor
  const Narrow* narrow = nullptr;
  std::size_t first = 0;         // the place of its first element in the tensor, of which it may be a row
  const Slice* slice = nullptr;  // of what it is one, if it is
};

// Sums of squares.
struct Sums {
  double x[2] = {0, 0};
};

// A run of n elements through consecutive spans, from element `offset` of the first; or of lines of one.
struct Share {
  std::size_t offset, n;
};

// Sums over a tensor are those of its chunks, added in order.
constexpr std::size_t chunk = 4096;

// A piece of a tensor, as the loop of a rule sees it: each array begins at its first element.
struct Piece {
  void* arrays[2 + max_state];
  std::size_t n;
  std::size_t slot;   // elements from one slot of a ring to the next
  double scale;       // of the gradient
  double factor = 0;  // what a rule that measures made of its sums
  void* ema = nullptr;
  double ema_weight = 1;
  std::size_t row = 0;  // elements of a row, if the loop is to measure each row before it updates it
};

// A tensor as a matrix rule sees it: lines of the last axis; matrices of the last two; and bands, consecutive lines of
// one matrix whose columns are reduced together. A vector's lines are its chunks, of which the last may be shorter.
struct Grid {
  std::size_t lines, columns;  // `columns` in a line
  std::size_t of_matrix;       // lines of a matrix
  std::size_t band;            // lines of a band, of which the last of a matrix may have fewer
  const std::size_t* axes;
  std::size_t n_axes;
};

// What a matrix rule writes down about a tensor, for the time of a step.
struct Notes {
  Sums* lines;      // two numbers for each line
  double* columns;  // one for each column of each band, 0 at first; none for a vector
};

// Consecutive lines of one band, as a pass of a matrix rule sees them; of a line that is longer than a chunk, a piece.
struct Lines {
  const Span& span;
  const Grid& grid;
  std::size_t line, column, n;  // where they begin, and how many elements they are
  const void* g;                // of the first
  double scale;                 // of the gradient
  Sums* notes;                  // of each line
  double* columns;              // of their band, from `column` on; null for a vector
};

constexpr int max_passes = 3;
constexpr std::size_t rule_size = 256;

// A rule of one dtype as plain functions, all that is compiled anew for each rule. `rule` is memory of rule_size bytes
// that `make` has filled. A rule of one pass has a loop; one that takes sums first has `measure` and `settle` too; a
// matrix rule has its passes, each over all lines, and what follows a pass for the tensor as a whole.
struct Functions {
  void (*make)(const double* hyper, void* rule);
  void (*loop[2][2])(const void* rule, const Piece& piece);  // [zeroes the gradient][averages the weight]
  // [rounds the weight at random] All arrays bfloat16, in pairs, the states rounded at random, from element `first` on;
  // null where the loop does with tiles.
  void (*halves[2])(const void* rule, const Piece& piece, Key key, std::uint32_t first);
  Sums (*measure)(const void* rule, const Piece& piece);
  double (*settle)(const void* rule, const Sums& sums, double n, void* own);
  void (*pass[max_passes])(const void* rule, const Lines& lines);
  void (*close[max_passes])(const void* rule, Span& span, const Grid& grid, const Notes& notes);
};

// What a pass over memory reads and writes: bit k is array k of w, g, state..., where it has a number for each element.
struct Moved {
  unsigned reads = 0, writes = 0;
};

struct Rule {
  const Signature* signature;  // in one table of all, which isa.cpp gives to the others
  int n_state;
  int n_hyper;              // 0: a helper, not an optimizer
  int own;                  // the place among the states of that with one number for a tensor or row, or -1
  bool by_row;              // measures row by row, so that no row may be cut
  bool measures_tensors;    // in a pass before the one that writes the weight
  int n_passes;             // of a matrix rule, else 0
  Moved moved[max_passes];  // by each pass
  Functions of[n_dtypes];   // `make` is null where there is none for a dtype
};

// Whether a rule takes numbers one by one, so that it may be given what was loaded of other arrays.
inline bool may_be_narrow(const Rule& rule) {
  if (rule.n_hyper == 0 || rule.measures_tensors || rule.by_row || rule.n_passes > 0) return false;
  for (const State* state = rule.signature->state; state->name != nullptr; ++state)
    if (state->shape == Shape::scratch) return false;
  return true;
}

// Rules that are compiled together.
struct Unit {
  const Rule* rules;
  int n;
};

// Numbers of an array: where they begin, what belongs to them, and the random bits that they are stored with, 16 of
// each word from `shift` on.
struct Stored {
  void* array;
  void* more;
  const std::uint32_t* random;
  int shift;
};

// What loads up to a block of numbers as float32, and what stores them.
struct Format {
  void (*load)(const Stored& at, std::size_t n, float* x);
  void (*store)(const Stored& at, std::size_t n, const float* x);
};

// The driver, compiled once per dtype: runs any rule over memory. `clip` multiplies the gradients. `scratch` has room
// for a chunk, if the rule takes sums: on the stack of a small thread there may be none.
struct Driver {
  void (*update)(const Rule& rule, const Span* first, Share share, double clip, void* scratch);
  Sums (*square_sum)(const Span& span, std::size_t offset, std::size_t n);  // of the gradient, over a chunk
  Sums (*measure)(const Rule& rule, const Span& span, std::size_t offset, std::size_t n, double clip, void* scratch);
  double (*settle)(const Rule& rule, const Span& span, const Sums& sums);
  void (*pass)(const Rule& rule, int p, const Span& span, const Grid& grid, Share lines, const Notes& notes,
               double clip, void* scratch);
  void (*close)(const Rule& rule, int p, Span& span, const Grid& grid, const Notes& notes);
  void (*mean)(const void* const* arrays, std::size_t k, Storage storage, Share share, double count, void* mean);
};

// What an instruction set offers.
struct Table {
  const char* isa;
  const Unit* const* units;
  int n_units;
  Driver driver[n_dtypes];
  const Format* formats;  // in the order of `Storage`
};

}  // namespace fusedoptim
