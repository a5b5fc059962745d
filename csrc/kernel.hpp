// The kernel table: the only types that cross from the code compiled once per instruction set to the rest.
#pragma once

#include <cstddef>

namespace fusedoptim {

constexpr int max_state = 4;
constexpr int max_hyper = 8;
constexpr int n_dtypes = 2;  // float32, float64: the order of every array indexed by dtype

// The values a hyper-parameter may take; errors.py has the words.
enum class Domain {
  non_negative,  // finite, >= 0
  unit,          // in [0, 1)
  step,          // a whole number >= 1, or inf
  count,         // a whole number >= 1
  rows,          // not passed, comes last: the number of rows of the state array
};

struct Hyper {
  const char* name;
  double fallback;
  Domain domain;
};

// A state array has the weight's shape, or one such row for each of several past steps.
struct State {
  const char* name;
  bool rows = false;
};

// What a rule is called, keeps and takes. A name of nullptr ends each list.
struct Signature {
  const char* name;
  State state[max_state + 1];
  Hyper hyper[max_hyper + 1];
};

// One tensor: its arrays in the order of the rule's arguments (w, g, state...), of n elements each.
struct Span {
  void* arrays[2 + max_state + 1];  // one more for the gradient sum of Mean
  std::size_t n;
};

// A run of n elements through consecutive spans, from element `offset` of the first.
struct Share {
  std::size_t offset, n;
};

using Update = void (*)(const Span* first, Share share, const double* hyper);

struct Row {
  Signature signature;
  int n_state;
  int n_hyper;  // 0: a helper, not an optimizer
  Update update[n_dtypes];
  Update update_mean[n_dtypes];  // the same on the mean of hyper[n_hyper] gradients; their sum comes before the state
};

struct Table {
  const char* isa;
  const Row* rows;
  std::size_t n_rows;
};

}  // namespace fusedoptim
