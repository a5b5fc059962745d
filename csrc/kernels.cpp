// The driver: runs a rule over memory. Compiled once per instruction set, as FUSEDOPTIM_ISA.
//
//   Stream, Gradient  how an argument of a rule lies in memory; storage formats live here, a rule sees numbers alone
//   loop              one pass over n elements, which the compiler vectorises; the average of the weight is part of it
//   prepare           what a step does to the gradient besides scaling, a tile at a time that stays in cache
//   update            what the table holds: a rule on a share of consecutive spans
//   pass, close       the same for a matrix rule, on rows of a span
#include <utility>

#include "rules.hpp"

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace {

using namespace fusedoptim;

// Subnormal numbers count as zero: the averages of a dead unit decay into them and would be tens of times slower.
class FlushSubnormals {
 public:
  FlushSubnormals() : before(get()) { set(before | flush); }
  ~FlushSubnormals() { set(before); }
  FlushSubnormals(const FlushSubnormals&) = delete;
  FlushSubnormals& operator=(const FlushSubnormals&) = delete;

 private:
#if defined(__SSE2__)
  using Mode = unsigned;
  static constexpr Mode flush = 0x8040;  // MXCSR: flush to zero, denormals are zero
  static Mode get() { return _mm_getcsr(); }
  static void set(Mode mode) { _mm_setcsr(mode); }
#elif defined(__aarch64__)
  using Mode = unsigned long;
  static constexpr Mode flush = 1ul << 24;  // FPCR.FZ
  static Mode get() {
    Mode mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
  }
  static void set(Mode mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode)); }
#else
#error "fusedoptim runs on x86-64 and aarch64: elsewhere it does not know how to flush subnormal numbers"
#endif
  Mode before;
};

// Storage: how a number is kept in memory, and the type it is computed in.
template <class T>
struct Plain {
  using Stored = T;
  using Value = T;
  static Value load(const Stored& from) { return from; }
  static void store(Stored& to, Value x) { to = x; }
};

constexpr std::size_t tile = 8192;  // long enough for the prefetcher: half of it runs at three quarters of the speed

template <class Stored>
Stored* at(void* array, std::size_t offset) {
  return array == nullptr ? nullptr : static_cast<Stored*>(array) + offset;
}

// An argument of a rule that is only read.
template <class Storage, class Argument>
struct Stream {
  using T = typename Storage::Value;
  const typename Storage::Stored* data;

  template <class Rule>
  Stream(const Rule&, const Span& span, int argument, std::size_t offset, std::size_t)
      : data(at<typename Storage::Stored>(span.arrays[argument], offset)) {}
  T load(std::size_t i) const { return Storage::load(data[i]); }
  void store(std::size_t, T) const {}
};

// One that is written too.
template <class Storage, class T>
struct Stream<Storage, T&> {
  typename Storage::Stored* data;

  template <class Rule>
  Stream(const Rule&, const Span& span, int argument, std::size_t offset, std::size_t)
      : data(at<typename Storage::Stored>(span.arrays[argument], offset)) {}
  T load(std::size_t i) const { return Storage::load(data[i]); }
  void store(std::size_t i, T x) const { Storage::store(data[i], x); }
};

// The number of a whole tensor or row, which `settle` reads and writes.
template <class Storage>
struct Stream<Storage, Own> {
  template <class Rule>
  Stream(const Rule&, const Span&, int, std::size_t, std::size_t) {}
  Own load(std::size_t) const { return {}; }
  void store(std::size_t, Own) const {}
};

template <class Storage>
struct Stream<Storage, Unused> : Stream<Storage, Own> {
  using Stream<Storage, Own>::Stream;
};

// Row of a ring: `age` steps before the newest.
template <class Stored, class Rule>
Stored* row(const Rule& rule, const Span& span, int argument, std::size_t offset, std::size_t age) {
  const std::size_t k = (rule.newest + rule.window - age) % rule.window;
  return at<Stored>(span.arrays[argument], k * span.n + offset);
}

// A ring of rows of past gradients, added oldest first: by the loop itself, or if n_rows is 0, before it for a tile.
template <class Storage, class T, std::size_t n_rows>
struct Ring {
  using Stored = typename Storage::Stored;
  Stored* newest;
  const Stored* rows[n_rows];

  template <class Rule>
  Ring(const Rule& rule, const Span& span, int argument, std::size_t offset, std::size_t)
      : newest(row<Stored>(rule, span, argument, offset, 0)) {
    for (std::size_t k = 0; k < n_rows; ++k) rows[k] = row<Stored>(rule, span, argument, offset, n_rows - k);
  }

  Past<T> load(std::size_t i) const { return {sum(i, std::make_index_sequence<n_rows>()), 0}; }
  template <std::size_t... k>
  T sum(std::size_t i, std::index_sequence<k...>) const {
    return (T(0) + ... + Storage::load(rows[k][i]));
  }
  void store(std::size_t i, const Past<T>& past) const { Storage::store(newest[i], past.newest); }
};

template <class Storage, class T>
struct Ring<Storage, T, 0> {
  using Stored = typename Storage::Stored;
  Stored* newest;
  T sum[tile];

  template <class Rule>
  Ring(const Rule& rule, const Span& span, int argument, std::size_t offset, std::size_t n)
      : newest(row<Stored>(rule, span, argument, offset, 0)) {
    const auto past = [&](std::size_t age) { return row<Stored>(rule, span, argument, offset, age); };
    for (std::size_t i = 0; i < n; ++i) sum[i] = 0;
    std::size_t age = rule.window - 1;
    for (; age >= 4; age -= 4) add(n, past(age), past(age - 1), past(age - 2), past(age - 3));
    for (; age > 0; --age) add(n, past(age));
  }

  // Not inlined: inside `loop`, GCC 12 leaves the sum scalar.
  template <class... Rows>
  __attribute__((noinline)) void add(std::size_t n, Rows... rows) {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) sum[i] = (sum[i] + ... + Storage::load(rows[i]));
  }

  Past<T> load(std::size_t i) const { return {sum[i], 0}; }
  void store(std::size_t i, const Past<T>& past) const { Storage::store(newest[i], past.newest); }
};

// The stream of a rule's argument; n_rows is of a ring.
template <class Storage, class Argument, std::size_t n_rows>
struct StreamOf {
  using type = Stream<Storage, Argument>;
};
template <class Storage, class T, std::size_t n_rows>
struct StreamOf<Storage, Past<T>&, n_rows> {
  using type = Ring<Storage, T, n_rows>;
};

template <class Rule, class = void>
constexpr bool has_ring = false;
template <class Rule>
constexpr bool has_ring<Rule, std::void_t<decltype(Rule::window)>> = true;

// Calls update(n_rows) with the number of rows of its ring that the loop of a rule adds.
template <class Rule, class Update>
void with_rows(const Rule& rule, const Update& update) {
  if constexpr (has_ring<Rule>) {
    if (rule.window == 2) return update(std::integral_constant<std::size_t, 1>());
    if (rule.window == 3) return update(std::integral_constant<std::size_t, 2>());
    if (rule.window == 4) return update(std::integral_constant<std::size_t, 3>());
    if (rule.window == 5) return update(std::integral_constant<std::size_t, 4>());
  }
  update(std::integral_constant<std::size_t, 0>());
}

template <class Storage>
struct Gradient {
  using T = typename Storage::Value;
  const typename Storage::Stored* data;
  T scale;
  T load(std::size_t i) const { return scale * Storage::load(data[i]); }
  void store(std::size_t, T) const {}
};

// A gradient that is zero after the step.
template <class Storage>
struct ZeroedGradient {
  using T = typename Storage::Value;
  typename Storage::Stored* data;
  T scale;
  T load(std::size_t i) const { return scale * Storage::load(data[i]); }
  void store(std::size_t i, T) const { Storage::store(data[i], 0); }
};

// What follows the rule: nothing, or  ema <- decay ema + (1 - decay) w
struct NoAverage {
  template <class T>
  void operator()(std::size_t, T) const {}
};

template <class Storage>
struct Average {
  using T = typename Storage::Value;
  typename Storage::Stored* ema;
  T decay, rest;
  void operator()(std::size_t i, T w) const { Storage::store(ema[i], decay * Storage::load(ema[i]) + rest * w); }
};

// Not inlined, so that no arithmetic can move across a change of the floating-point mode.
template <class Rule, class After, class Weight, class... Streams>
__attribute__((noinline)) void loop(const Rule rule, std::size_t n, const After after, const Weight weight,
                                    const Streams... streams) {
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i)
    [&](auto w, auto... x) {
      rule(w, x...);
      weight.store(i, w);
      (streams.store(i, x), ...);
      after(i, w);
    }(weight.load(i), streams.load(i)...);
}

template <class Rule, class... Streams>
__attribute__((noinline)) Sums measure_loop(const Rule rule, std::size_t n, const Streams... streams) {
  return sum_in_lanes(n, [&](std::size_t i) {
    return [&](auto... x) {
      const auto terms = rule.measure(x...);
      (streams.store(i, x), ...);
      return terms;
    }(streams.load(i)...);
  });
}

bool is_prepared(const Span& span) {
  return span.grad_sum != nullptr || span.settings->l2 != 0 ||
         span.settings->clip_value != std::numeric_limits<double>::infinity();
}

// x <- the mean of the gradients, scaled, clipped, and with the gradient of the L2 penalty. The last pass that needs
// the gradients sets their sum to zero, and the newest too if it should.
template <class Storage, class T = typename Storage::Value, class Stored = typename Storage::Stored>
__attribute__((noinline)) void prepare(const Span& span, std::size_t offset, std::size_t n, bool last,
                                       T* __restrict x) {
  Stored* __restrict g = at<Stored>(span.arrays[1], offset);
  const Stored* __restrict w = at<Stored>(span.arrays[0], offset);
  Stored* __restrict sum = at<Stored>(span.grad_sum, offset);
  const T count = T(span.settings->count), scale = T(span.settings->scale);
  const T limit = T(span.settings->clip_value), l2 = T(span.settings->l2);
  if (span.grad_sum != nullptr)
    for (std::size_t i = 0; i < n; ++i) x[i] = (Storage::load(sum[i]) + Storage::load(g[i])) / count;
  else
    for (std::size_t i = 0; i < n; ++i) x[i] = Storage::load(g[i]);
  if (last && span.grad_sum != nullptr)
    for (std::size_t i = 0; i < n; ++i) Storage::store(sum[i], 0);
  if (last && span.settings->zero_grads)
    for (std::size_t i = 0; i < n; ++i) Storage::store(g[i], 0);
  for (std::size_t i = 0; i < n; ++i) {
    const T y = scale * x[i];
    x[i] = y > limit ? limit : y < -limit ? -limit : y;
  }
  if (l2 != 0)
    for (std::size_t i = 0; i < n; ++i) x[i] = x[i] + l2 * Storage::load(w[i]);
}

// Calls pass(gradient) for n elements, of which there is at most a tile if the gradient is prepared.
template <class Storage, class Pass>
void with_gradient(const Span& span, std::size_t offset, std::size_t n, bool last, const Pass& pass) {
  using T = typename Storage::Value;
  auto* g = at<typename Storage::Stored>(span.arrays[1], offset);
  const T scale = T(span.settings->scale);
  if (is_prepared(span)) {
    T x[tile];
    prepare<Storage>(span, offset, n, last, x);
    pass(Gradient<Plain<T>>{x, 1});
  } else if (last && span.settings->zero_grads)
    pass(ZeroedGradient<Storage>{g, scale});
  else
    pass(Gradient<Storage>{g, scale});
}

// The pass that writes the weights, over n elements of a span.
template <class Storage, std::size_t n_rows, class Rule, class W, class G, class... States, std::size_t... I>
void update_part(const Rule& rule, void (Rule::*)(W, G, States...) const, std::index_sequence<I...>, const Span& span,
                 std::size_t offset, std::size_t n) {
  using T = typename Storage::Value;
  const bool whole = !is_prepared(span) && (!has_ring<Rule> || n_rows > 0);
  for (const std::size_t end = offset + n; offset < end; offset += n) {
    n = whole || end - offset < tile ? end - offset : tile;
    with_gradient<Storage>(span, offset, n, true, [&](auto g) {
      const auto pass = [&](auto after) {
        loop(rule, n, after, Stream<Storage, W>(rule, span, 0, offset, n), g,
             typename StreamOf<Storage, States, n_rows>::type(rule, span, 2 + I, offset, n)...);
      };
      const double decay = span.settings->ema_decay;
      if (std::is_reference_v<W> && span.ema != nullptr)  // else the weight is as it was
        pass(Average<Storage>{at<typename Storage::Stored>(span.ema, offset), T(decay), T(1 - decay)});
      else
        pass(NoAverage{});
    });
  }
}

// The pass before it of a rule that measures, over a chunk of a span.
template <class Storage, class Rule, class Base, class Terms, class W, class G, class... States, std::size_t... I>
Sums measure_part(const Rule& rule, Terms (Base::*)(W, G, States...) const, std::index_sequence<I...>, const Span& span,
                  std::size_t offset, std::size_t n) {
  Sums sums;
  with_gradient<Storage>(span, offset, n, false, [&](auto g) {
    sums = measure_loop(rule, n, Stream<Storage, W>(rule, span, 0, offset, n), g,
                        Stream<Storage, States>(rule, span, 2 + I, offset, n)...);
  });
  return sums;
}

template <class Rule>
constexpr int count_state() {
  int n = 0;
  while (Rule::signature.state[n].name != nullptr) ++n;
  return n;
}

// A ring counts for nothing here: its rows do.
template <class T>
constexpr bool is_read = true;
template <>
constexpr bool is_read<Own> = false;
template <>
constexpr bool is_read<Unused> = false;
template <class T>
constexpr bool is_read<Past<T>&> = false;

template <class Rule, class Result, class... Arguments>
constexpr Moved moved_by(Result (Rule::*)(Arguments...) const) {
  Moved moved;
  unsigned array = 1;
  ((moved.reads |= is_read<Arguments> ? array : 0,
    moved.writes |= is_read<Arguments> && std::is_reference_v<Arguments> ? array : 0, array <<= 1),
   ...);
  return moved;
}

template <class Rule>
constexpr int n_state = count_state<Rule>();

template <class Rule>
constexpr int count_hyper() {
  int n = 0;
  while (Rule::signature.hyper[n].name != nullptr) ++n;
  return n;
}

// The place of the state that is one number for a whole tensor or row, or -1.
template <class Rule>
constexpr int own_state() {
  for (int k = 0; k < n_state<Rule>; ++k)
    if (Rule::signature.state[k].shape == Shape::tensor || Rule::signature.state[k].shape == Shape::row) return k;
  return -1;
}

template <class Rule, class = void>
constexpr bool is_measured = false;
template <class Rule>
constexpr bool is_measured<Rule, std::void_t<decltype(&Rule::measure)>> = true;

// A rule that measures row by row makes both passes over a row while it is in cache.
template <class Rule>
constexpr bool is_by_row() {
  constexpr int own = own_state<Rule>();
  return own >= 0 && Rule::signature.state[own < 0 ? 0 : own].shape == Shape::row;
}

template <class Rule, std::size_t... I>
Rule make(const double* hyper, std::index_sequence<I...>) {
  return Rule{hyper[I]...};
}

// Not inlined, for the size of the code.
template <class Rule>
__attribute__((noinline)) Rule make(const Settings& settings) {
  return make<Rule>(settings.hyper, std::make_index_sequence<count_hyper<Rule>()>());
}

// The factor that the sums over n elements from `offset`, a whole tensor or row, amount to.
template <class Storage, class Rule>
double settled(const Rule& rule, const Span& span, std::size_t offset, std::size_t n, const Sums& sums) {
  constexpr int own = own_state<Rule>();
  typename Storage::Stored* place = nullptr;
  if constexpr (own >= 0) place = at<typename Storage::Stored>(span.arrays[2 + own], n > 0 ? offset / n : 0);
  return rule.settle(sums, double(n), place);
}

template <class Storage, class Rule>
Sums measure_part(const Rule& rule, const Span& span, std::size_t offset, std::size_t n) {
  return measure_part<Storage>(rule, &Rule::measure, std::make_index_sequence<n_state<Rule>>(), span, offset, n);
}

template <class Storage, class Rule>
Sums measure(const Span& span, std::size_t offset, std::size_t n) {
  const FlushSubnormals flush;
  return measure_part<Storage>(make<Rule>(*span.settings), span, offset, n);
}

template <class Storage, class Rule>
void settle(Span& span, const Sums& sums) {
  const FlushSubnormals flush;
  span.factor = settled<Storage>(make<Rule>(*span.settings), span, 0, span.n, sums);
}

template <class Storage, class Rule>
double row_factor(const Rule& rule, const Span& span, std::size_t offset) {
  Sums sums;
  for (std::size_t i = 0; i < span.row; i += chunk) {
    const Sums part = measure_part<Storage>(rule, span, offset + i, smaller(span.row - i, chunk));
    for (int k = 0; k < 2; ++k) sums.x[k] += part.x[k];
  }
  return settled<Storage>(rule, span, offset, span.row, sums);
}

// Asks for the arrays of a span, as far as the processor would not see by itself what comes next. `own` is the one that
// has a single number, or -1.
__attribute__((noinline)) void fetch(const Span& span, int n_arrays, int own, std::size_t item_size) {
  constexpr std::size_t line = 64, most = 512;
  for (int k = 0; k < n_arrays; ++k) {
    const std::size_t bytes = (k == own ? 1 : span.n) * item_size, end = smaller(bytes, most);
    auto* array = static_cast<char*>(span.arrays[k]);
    for (std::size_t i = 0; i < end; i += line) __builtin_prefetch(array + i, 1);
    __builtin_prefetch(array + end - 1, 1);
  }
  __asm__ volatile("");  // else GCC 12 drops the call of a function that only prefetches
}

template <class Storage, class Rule>
void update(const Span* span, Share share) {
  using T = typename Storage::Value;
  const FlushSubnormals flush;
  const Settings* settings = span->settings;
  Rule rule = make<Rule>(*settings);
  const auto update_n = [&](std::size_t offset, std::size_t n) {
    with_rows(rule, [&](auto n_rows) {
      update_part<Storage, n_rows>(rule, &Rule::operator(), std::make_index_sequence<n_state<Rule>>(), *span, offset,
                                   n);
    });
  };
  constexpr int own = own_state<Rule>() < 0 ? -1 : 2 + own_state<Rule>();
  const Span* ahead = span + 1;
  std::size_t unseen = share.n - smaller(share.n, span->n - share.offset);
  for (; share.n > 0; ++span, share.offset = 0) {
    for (; ahead < span + 16 && unseen > 0; unseen -= smaller(unseen, ahead->n), ++ahead)
      if (ahead->n == ahead->row)
        fetch(*ahead, 2 + n_state<Rule>, own, sizeof(typename Storage::Stored));  // rows of a table lie far apart
    if (span->settings != settings) rule = make<Rule>(*(settings = span->settings));
    const std::size_t n = smaller(share.n, span->n - share.offset);
    if constexpr (is_by_row<Rule>()) {
      for (std::size_t offset = share.offset; offset < share.offset + n; offset += span->row) {
        rule.factor = T(row_factor<Storage>(rule, *span, offset));
        update_n(offset, span->row);
      }
    } else {
      if constexpr (is_measured<Rule>) rule.factor = T(span->factor);
      update_n(share.offset, n);
    }
    share.n -= n;
  }
}

template <class Storage, class T = typename Storage::Value, class Stored = typename Storage::Stored>
Sums square_sum(const Span& span, std::size_t offset, std::size_t n) {
  const FlushSubnormals flush;
  const Stored* g = at<Stored>(span.arrays[1], offset);
  const Stored* sum = at<Stored>(span.grad_sum, offset);
  const T count = T(span.settings->count);
  using Term = Terms<T, 1>;
  if (sum == nullptr) return sum_in_lanes(n, [=](std::size_t i) { return Term{Storage::load(g[i])}; });
  return sum_in_lanes(n, [=](std::size_t i) { return Term{(Storage::load(sum[i]) + Storage::load(g[i])) / count}; });
}

template <class T>
__attribute__((noinline)) void average(const Span& span, std::size_t offset, std::size_t n) {
  const T* w = at<T>(span.arrays[0], offset);
  const T decay = T(span.settings->ema_decay);
  const Average<Plain<T>> average = {at<T>(span.ema, offset), decay, T(1 - span.settings->ema_decay)};
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) average(i, w[i]);
}

// Consecutive rows of one band, of a matrix rule. Not inlined, for the reason of `loop`.
template <int p, class T, class Rule>
__attribute__((noinline)) void pass_band(const Rule& rule, const Span& span, const Grid& grid, Share rows,
                                         const Notes& notes) {
  constexpr bool last = p == Rule::n_passes - 1;
  const std::size_t matrix = rows.offset / grid.of_matrix;
  double* columns = is_vector(grid) ? nullptr : notes.columns + band_of(grid, rows.offset) * grid.columns;
  for (std::size_t row = rows.offset; row < rows.offset + rows.n; ++row) {
    const std::size_t begin = row * grid.columns, end = begin + grid.columns < span.n ? begin + grid.columns : span.n;
    for (std::size_t offset = begin; offset < end; offset += chunk) {
      const std::size_t n = end - offset < chunk ? end - offset : chunk, column = offset - begin;
      with_gradient<Plain<T>>(span, offset, n, last, [&](auto g) {
        const Piece<T, decltype(g)> piece = {span, grid, matrix, row, column, n, g, notes.rows[row], columns + column};
        rule.template pass<p>(piece);
      });
      if (last && span.ema != nullptr) average<T>(span, offset, n);
    }
  }
}

template <class T, template <class> class Rule, int p>
void pass(const Span& span, const Grid& grid, Share rows, const Notes& notes) {
  const FlushSubnormals flush;
  const Rule<T> rule = make<Rule<T>>(*span.settings);
  for (std::size_t n; rows.n > 0; rows.offset += n, rows.n -= n) {
    n = left_of_band(grid, rows.offset);
    if (n > rows.n) n = rows.n;
    pass_band<p, T>(rule, span, grid, {rows.offset, n}, notes);
  }
}

template <int p, class Rule>
__attribute__((noinline)) void close_tensor(const Rule& rule, Span& span, const Grid& grid, const Notes& notes) {
  rule.template close<p>(span, grid, notes);
}

template <class T, template <class> class Rule, int p>
void close(Span& span, const Grid& grid, const Notes& notes) {
  const FlushSubnormals flush;
  close_tensor<p>(make<Rule<T>>(*span.settings), span, grid, notes);
}

template <class Rule, class = void>
constexpr int n_passes = 0;
template <class Rule>
constexpr int n_passes<Rule, std::void_t<decltype(Rule::n_passes)>> = Rule::n_passes;

template <template <class> class Rule, int... p>
constexpr void set_passes(Row& row, std::integer_sequence<int, p...>) {
  ((row.pass[p][0] = pass<float, Rule, p>, row.pass[p][1] = pass<double, Rule, p>,
    row.close[p][0] = close<float, Rule, p>, row.close[p][1] = close<double, Rule, p>),
   ...);
}

template <template <class> class Rule>
constexpr Row make_row(const Signature& signature) {
  using R = Rule<float>;
  Row row = {};
  row.signature = &signature;
  row.n_state = n_state<R>;
  row.n_hyper = count_hyper<R>();
  row.by_row = is_by_row<R>();
  row.n_passes = n_passes<R>;
  if constexpr ((n_passes<R>) > 0) {
    set_passes<Rule>(row, std::make_integer_sequence<int, n_passes<R>>());
    for (int p = 0; p < n_passes<R>; ++p) row.moved[p] = R::moved[p];
  } else {
    row.update[0] = update<Plain<float>, R>, row.update[1] = update<Plain<double>, Rule<double>>;
    row.moved[0] = moved_by(&R::operator());
  }
  if constexpr (is_by_row<R>()) {
    const Moved first = moved_by(&R::measure), second = row.moved[0];
    row.moved[0] = {first.reads | second.reads, first.writes | second.writes};
  } else if constexpr (is_measured<R>) {
    row.moved[1] = row.moved[0], row.moved[0] = moved_by(&R::measure);
    row.measure[0] = measure<Plain<float>, R>, row.measure[1] = measure<Plain<double>, Rule<double>>;
    row.settle[0] = settle<Plain<float>, R>, row.settle[1] = settle<Plain<double>, Rule<double>>;
  }
  return row;
}

template <class List, class = std::make_index_sequence<List::n>>
struct RowsOf;

template <template <class> class... Rule, std::size_t... k>
struct RowsOf<List<Rule...>, std::index_sequence<k...>> {
  static constexpr Row rows[] = {make_row<Rule>(signatures.of[k])...};
};

}  // namespace

#define FUSEDOPTIM_STRING_(x) #x
#define FUSEDOPTIM_STRING(x) FUSEDOPTIM_STRING_(x)
#define FUSEDOPTIM_JOIN_(a, b) a##b
#define FUSEDOPTIM_JOIN(a, b) FUSEDOPTIM_JOIN_(a, b)

namespace fusedoptim {

extern const Table FUSEDOPTIM_JOIN(table_, FUSEDOPTIM_ISA);
const Table FUSEDOPTIM_JOIN(table_, FUSEDOPTIM_ISA) = {FUSEDOPTIM_STRING(FUSEDOPTIM_ISA),
                                                       RowsOf<Rules>::rows,
                                                       Rules::n,
                                                       {square_sum<Plain<float>>, square_sum<Plain<double>>}};

}  // namespace fusedoptim
