// The kernel table: the only types that cross from the code compiled once per instruction set to the rest.
#pragma once

#include <cstddef>
#include <limits>

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
  void* grad_sum = nullptr;  // the sum of the gradients before this one, where a step takes their mean
  void* ema = nullptr;       // the running average of the weight, where one is kept
};

// A run of n elements through consecutive spans, from element `offset` of the first.
struct Share {
  std::size_t offset, n;
};

using Update = void (*)(const Span* first, Share share);

// The sum of the squares of one chunk of a tensor's gradient.
using SquareSum = double (*)(const Span& span, std::size_t offset, std::size_t n);
constexpr std::size_t chunk = 4096;

struct Row {
  Signature signature;
  int n_state;
  int n_hyper;  // 0: a helper, not an optimizer
  Update update[n_dtypes];
};

struct Table {
  const char* isa;
  const Row* rows;
  std::size_t n_rows;
  SquareSum square_sum[n_dtypes];
};

}  // namespace fusedoptim
