// A rule as plain functions, for the table. All that is compiled anew for each rule is here.
//
// A rule is a struct, template over T, with
//   signature       its entry in the table
//   members         first the hyper-parameters in double, in the order of the signature; then what follows from
//                   them, in double and rounded once
//   operator()      the paper's equations for one element: (T& w, T g, state...); a state is T&, T if it is only
//                   read, or Unused
//
// A rule that needs sums over a tensor first measures. Over a tensor these are two passes; over a row, one.
//   measure()       of one element: (w, g, state...) as above; changes what it may, and returns the Terms whose squares
//                   are summed in float64 in a fixed order
//   settle()        (sums, n, own) -> the factor; `own` points to the number that the tensor or row keeps
//   factor          a member that has it in operator()
//
// One that reads more of a state than its element prepares that a block at a time: rules/window_sgd.hpp. One that keeps
// numbers for the lines and columns of a tensor is a matrix rule: kernel/matrix.hpp.
//
// Everything is in an anonymous namespace: a symbol shared between instruction sets would let the linker pick code
// that this CPU cannot run.
#pragma once
#include <type_traits>
#include <utility>

#include "bfloat16.hpp"
#include "matrix.hpp"

namespace {

using fusedoptim::Functions;
using fusedoptim::Rule;

// An argument of a rule: an array that is only read, or written too, or none.
template <class A>
struct Stream {
  const A* x;
  A load(std::size_t i) const { return x[i]; }
  void store(std::size_t, A) const {}
};

template <class T>
struct Stream<T&> {
  T* x;
  T load(std::size_t i) const { return x[i]; }
  void store(std::size_t i, T value) const { x[i] = value; }
};

template <>
struct Stream<Unused> {
  void* x;
  Unused load(std::size_t) const { return {}; }
  void store(std::size_t, Unused) const {}
};

template <class A>
Stream<A> stream(void* array) {
  return {static_cast<decltype(Stream<A>::x)>(array)};
}

template <class T, bool zeroed>
struct Gradient {
  T* g;
  T scale;
  T load(std::size_t i) const { return scale * g[i]; }
  void store(std::size_t i, T) const {
    if constexpr (zeroed) g[i] = 0;
  }
};

// What follows the rule: nothing, or  ema <- ema + weight (w - ema)
template <class T, bool averaged>
struct Average {
  T* ema;
  T weight;
  T averages;  // 0 where ema becomes a copy of w, even where it was infinite, else 1: by a bool, GCC would not choose
  void operator()(std::size_t i, T w) const {
    if constexpr (averaged) ema[i] = averages > 0 ? ema[i] + weight * (w - ema[i]) : w;
  }
};

template <class T, bool averaged>
Average<T, averaged> average_of(void* ema, double weight) {
  return {static_cast<T*>(ema), T(weight), T(weight != 1)};
}

template <class R, class = void>
constexpr bool is_measured = false;
template <class R>
constexpr bool is_measured<R, std::void_t<decltype(&R::measure)>> = true;

template <class R, class = void>
constexpr bool only_averages = false;
template <class R>
constexpr bool only_averages<R, std::void_t<decltype(R::averages)>> = true;

template <class R, class = void>
constexpr bool is_blocked = false;
template <class R>
constexpr bool is_blocked<R, std::void_t<decltype(R::block)>> = true;

// Whether a rule has a loop of its own over arrays of bfloat16: where that was measured to pay.
template <class R, class = void>
constexpr bool has_halves = false;
template <class R>
constexpr bool has_halves<R, std::void_t<decltype(R::halves)>> = R::halves;

template <class List>
constexpr int length(const List& list) {
  int n = 0;
  while (list[n].name != nullptr) ++n;
  return n;
}

template <class R>
constexpr int n_hyper = length(R::signature.hyper);

template <class R>
constexpr int n_state = length(R::signature.state);

// The place of the state with one number for a tensor or row, or -1.
template <class R>
constexpr int own_state() {
  for (int k = 0; k < n_state<R>; ++k)
    if (const Shape shape = R::signature.state[k].shape; shape == Shape::tensor || shape == Shape::row) return k;
  return -1;
}

template <class R>
constexpr bool is_by_row = own_state<R>() >= 0 && R::signature.state[own_state<R>() < 0 ? 0 : own_state<R>()].shape
                                                      == Shape::row;

// Moves a piece on. (The pointer to a number of a tensor or row is moved too, and not used afterwards.)
template <class T, int n_state>
void advance(Piece& at, std::size_t n) {
  for (int k = 0; k < 2 + n_state; ++k) at.arrays[k] = static_cast<T*>(at.arrays[k]) + n;
  if (at.ema != nullptr) at.ema = static_cast<T*>(at.ema) + n;
}

template <class T, int n_state>
Piece part_of(Piece at, std::size_t offset, std::size_t n) {
  advance<T, n_state>(at, offset);
  at.n = n;
  return at;
}

template <class R>
R rule_at(const void* memory, const Piece& at) {
  R rule = *static_cast<const R*>(memory);
  if constexpr (is_measured<R>) rule.factor = decltype(rule.factor)(at.factor);
  return rule;
}

// The loop itself.
template <class R, class After, class Weight, class... Streams>
void each_element(const R& rule, std::size_t n, const After after, const Weight weight, const Streams... streams) {
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i)
    [&](auto w, auto... x) {
      rule(w, x...);
      weight.store(i, w);
      (streams.store(i, x), ...);
      after(i, w);
    }(weight.load(i), streams.load(i)...);
}

// The arrays of a piece as the streams that the arguments of a rule ask for.
template <class T, bool zeroed, bool averaged, class R, class B, class W, class G, class... S, std::size_t... k>
void run_loop(const R& rule, void (B::*)(W, G, S...) const, const Piece& at, std::index_sequence<k...>) {
  each_element(rule, at.n, average_of<T, averaged>(at.ema, at.ema_weight), stream<W>(at.arrays[0]),
               Gradient<T, zeroed>{static_cast<T*>(at.arrays[1]), T(at.scale)}, stream<S>(at.arrays[2 + k])...);
}

template <class T, class R, class B, class Terms, class W, class G, class... S, std::size_t... k>
Sums run_measure(const R& rule, Terms (B::*)(W, G, S...) const, const Piece& at, std::index_sequence<k...>) {
  return [&](const auto... streams) {
    return sum_in_lanes(at.n, [&](std::size_t i) {
      return [&](auto... x) {
        const auto terms = rule.measure(x...);
        (streams.store(i, x), ...);
        return terms;
      }(streams.load(i)...);
    });
  }(stream<W>(at.arrays[0]), Gradient<T, false>{static_cast<T*>(at.arrays[1]), T(at.scale)},
         stream<S>(at.arrays[2 + k])...);
}

template <class B, class Result, class W, class G, class... S>
constexpr std::index_sequence_for<S...> states_of(Result (B::*)(W, G, S...) const);

// The functions of the table. Those with loops are flat, all that they call is inlined: so that the scalars of the rule
// stay in registers, and nothing keeps the loops from becoming vectors.
#define FUSEDOPTIM_FLAT __attribute__((flatten))

template <class R, std::size_t... k>
void make_from(const double* hyper, void* memory, std::index_sequence<k...>) {
  static_assert(sizeof(R) <= fusedoptim::rule_size && std::is_trivially_copyable_v<R>);
  *static_cast<R*>(memory) = R{hyper[k]...};
}

// The sums over a row, chunk after chunk.
template <class T, class R>
Sums measure_row(const R& rule, const Piece& row) {
  constexpr auto call = &R::measure;
  using States = decltype(states_of(call));
  if (row.n <= fusedoptim::chunk) return run_measure<T>(rule, call, row, States());
  Sums sums;
  for (std::size_t i = 0; i < row.n; i += fusedoptim::chunk) {
    const Piece piece = part_of<T, n_state<R>>(row, i, smaller(row.n - i, fusedoptim::chunk));
    const Sums part = run_measure<T>(rule, call, piece, States());
    for (int k = 0; k < 2; ++k) sums.x[k] += part.x[k];
  }
  return sums;
}

// The two passes over each row of a piece, one row after the other; only the second, where it has been measured.
template <class T, class R, bool zeroed, bool averaged>
void loop_over_rows(R& rule, const Piece& at) {
  constexpr auto call = &R::operator();
  T* number = static_cast<T*>(at.arrays[2 + own_state<R>()]);
  alignas(64) Piece row = at;
  row.n = at.row > 0 ? at.row : at.n;
  for (std::size_t offset = 0; offset < at.n; offset += row.n, ++number) {
    if (at.row > 0) rule.factor = T(rule.settle(measure_row<T>(rule, row), double(row.n), number));
    run_loop<T, zeroed, averaged>(rule, call, row, decltype(states_of(call))());
    advance<T, n_state<R>>(row, row.n);
  }
}

template <class T, class R, bool zeroed, bool averaged>
FUSEDOPTIM_FLAT void loop(const void* memory, const Piece& at) {
  constexpr auto call = &R::operator();
  using States = decltype(states_of(call));
  alignas(64) R rule = rule_at<R>(memory, at);  // else loading what was copied in one wide store stalls
  if constexpr (is_by_row<R>) {
    loop_over_rows<T, R, zeroed, averaged>(rule, at);
  } else if constexpr (is_blocked<R>) {
    T prepared[R::block];
    for (std::size_t offset = 0; offset < at.n; offset += R::block) {
      const Piece part = part_of<T, n_state<R>>(at, offset, smaller(at.n - offset, R::block));
      run_loop<T, zeroed, averaged>(rule, call, rule.prepare(part, prepared), States());
    }
  } else {
    run_loop<T, zeroed, averaged>(rule, call, at, States());
  }
}

#ifdef __clang__
#pragma clang diagnostic ignored "-Wshorten-64-to-32"  // of `linear` below, which it counts in the type of i
#endif

// The loop over pairs of neighbours in arrays of bfloat16, of which `first` is the place of the first in its tensor.
// (Made of i, the places would be computed in vectors of 64 bits.)
template <class R, class... Pairs>
void each_pair(const R& rule, std::size_t n, Key key, u32 first, const Pairs... pairs) {
#pragma omp simd linear(first : 2)
  for (std::size_t i = 0; i < n; ++i) {
    const u32 low = random_bits(first, key), up = random_bits(first + 1, key);
    [&](auto... a) {
      [&](auto... b) {
        rule(a...), rule(b...);
        (pairs.store(i, a, b, low, up), ...);
      }(pairs.upper(i)...);
    }(pairs.lower(i)...);
    first += 2;
  }
}

template <bool weight_at_random, class R, class B, class W, class G, class... S, std::size_t... k>
void run_halves(const R& rule, void (B::*)(W, G, S...) const, const Piece& at, Key key, u32 first,
                std::index_sequence<k...>) {
  const auto words = [&](std::size_t i) { return static_cast<Word*>(at.arrays[i]); };
  each_pair(rule, at.n / 2, key, first, Halves<W, random_shifts[0], weight_at_random>{words(0)},
            GradientHalves{words(1), float(at.scale)}, Halves<S, random_shifts[1 + k], true>{words(2 + k)}...);
}

template <class R, bool weight_at_random>
FUSEDOPTIM_FLAT void loop_over_halves(const void* memory, const Piece& at, Key key, u32 first) {
  constexpr auto call = &R::operator();
  alignas(64) const R rule = *static_cast<const R*>(memory);
  run_halves<weight_at_random>(rule, call, at, key, first, decltype(states_of(call))());
}

template <class T, class R>
FUSEDOPTIM_FLAT Sums measure(const void* memory, const Piece& at) {
  constexpr auto call = &R::measure;
  alignas(64) const R rule = rule_at<R>(memory, at);
  return run_measure<T>(rule, call, at, decltype(states_of(call))());
}

template <class T, class R>
double settle(const void* memory, const Sums& sums, double n, void* own) {
  return static_cast<const R*>(memory)->settle(sums, n, static_cast<T*>(own));
}

template <class T, class R, int p>
FUSEDOPTIM_FLAT void pass(const void* memory, const fusedoptim::Lines& lines) {
  const R rule = *static_cast<const R*>(memory);  // whose numbers no store can change
  for (std::size_t k = 0; k * lines.grid.columns < lines.n; ++k) rule.template pass<p>(Line<T>(lines, k));
}

template <class R, int p>
void close(const void* memory, Span& span, const Grid& grid, const Notes& notes) {
  static_cast<const R*>(memory)->template close<p>(span, grid, notes);
}

// The entry of a rule in the table.

template <class R, class = void>
constexpr int n_passes = 0;
template <class R>
constexpr int n_passes<R, std::void_t<decltype(R::n_passes)>> = R::n_passes;

template <class A>
constexpr bool is_read = !std::is_same_v<A, Unused>;

template <class B, class Result, class... A>
constexpr Moved moved_by(Result (B::*)(A...) const) {
  Moved moved;
  unsigned array = 1;
  ((moved.reads |= is_read<A> ? array : 0, moved.writes |= is_read<A> && std::is_reference_v<A> ? array : 0,
    array <<= 1),
   ...);
  return moved;
}

// Of the pass that writes the weight; the slots of a ring are counted by who knows how many there are.
template <class R>
constexpr Moved moved_by_loop() {
  Moved moved = moved_by(&R::operator());
  if (is_blocked<R>) moved = {moved.reads & 0b11, moved.writes & 0b11};
  return moved;
}

template <class B, class Result, class W, class... A>
constexpr bool writes_weight(Result (B::*)(W, A...) const) {
  return std::is_reference_v<W>;
}

template <class T, class R, int... p>
constexpr void set_passes(Functions& of, std::integer_sequence<int, p...>) {
  ((of.pass[p] = pass<T, R, p>, of.close[p] = close<R, p>), ...);
}

template <class T, class R>
constexpr Functions functions() {
  Functions of = {};
  of.make = [](const double* hyper, void* memory) {
    make_from<R>(hyper, memory, std::make_index_sequence<n_hyper<R>>());
  };
  if constexpr ((n_passes<R>) > 0) {
    set_passes<T, R>(of, std::make_integer_sequence<int, n_passes<R>>());
  } else {
    // Else the weight is as it was before the step was divided.
    constexpr bool averaged = writes_weight(&R::operator()) || only_averages<R>;
    of.loop[0][0] = loop<T, R, false, false>, of.loop[0][1] = loop<T, R, false, averaged>;
    of.loop[1][0] = loop<T, R, true, false>, of.loop[1][1] = loop<T, R, true, averaged>;
  }
  if constexpr (is_measured<R>) of.measure = measure<T, R>, of.settle = settle<T, R>;
  if constexpr (has_halves<R> && n_state<R> <= 2 && !is_measured<R> && std::is_same_v<T, float>)
    of.halves[0] = loop_over_halves<R, false>, of.halves[1] = loop_over_halves<R, true>;
  return of;
}

template <class R>
constexpr Rule described() {
  Rule rule = {};
#ifdef FUSEDOPTIM_SIGNATURES
  rule.signature = &R::signature;
#endif
  rule.n_state = n_state<R>;
  rule.n_hyper = n_hyper<R>;
  rule.own = own_state<R>();
  rule.by_row = is_by_row<R>;
  rule.measures_tensors = is_measured<R> && !rule.by_row;
  rule.n_passes = n_passes<R>;
  if constexpr ((n_passes<R>) > 0)
    for (int p = 0; p < n_passes<R>; ++p) rule.moved[p] = R::moved[p];
  else
    rule.moved[0] = moved_by_loop<R>();
  if constexpr (is_measured<R>) {
    const Moved first = moved_by(&R::measure), second = rule.moved[0];
    if (rule.by_row)
      rule.moved[0] = {first.reads | second.reads, first.writes | second.writes};
    else
      rule.moved[0] = first, rule.moved[1] = second;
  }
  return rule;
}

template <template <class> class R>
constexpr Rule entry_of() {
  Rule rule = described<R<float>>();
  rule.of[0] = functions<float, R<float>>(), rule.of[1] = functions<double, R<double>>();
  return rule;
}

// A loop to measure the memory with: plain, and for float32 alone.
template <template <class> class R>
constexpr Rule traffic_entry_of() {
  Rule rule = described<R<float>>();
  rule.of[0].make = [](const double*, void*) {};
  if constexpr (is_measured<R<float>>)
    rule.of[0].measure = measure<float, R<float>>, rule.of[0].settle = settle<float, R<float>>;
  for (auto& each : rule.of[0].loop) each[0] = each[1] = loop<float, R<float>, false, false>;
  return rule;
}

}  // namespace
