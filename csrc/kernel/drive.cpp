// The driver: runs a rule over memory. Compiled once per instruction set, as FUSEDOPTIM_ISA. It knows a rule by its
// entry in the table alone; what is compiled for each rule is loop.hpp.
//
//   prepare       what a step does to the gradient besides scaling, a tile at a time that stays in cache
//   update        a rule on a share of consecutive spans
//   square_sum    what the norm of the gradients is made of, over a chunk of a tensor
//   measure       the sums that a rule takes over a chunk of a tensor before
//   pass          a pass of a matrix rule over some lines of a span
//   mean          of the gradients of several processes: mean.hpp
#include <cstdint>

#include "../noise.hpp"
#include "formats.hpp"
#include "loop.hpp"
#include "mean.hpp"
#include "units.hpp"

namespace {

using namespace fusedoptim;

constexpr std::size_t tile = 1024;
constexpr std::size_t large = 1 << 18;  // elements that no cache near the CPU holds

template <class T>
constexpr int dtype = sizeof(T) / sizeof(double);

template <class T>
T* at(void* array, std::size_t offset) {
  return array == nullptr ? nullptr : static_cast<T*>(array) + offset;
}

// A rule with the hyper-parameters of a group.
template <class T>
class Made {
 public:
  Made(const Rule& rule, const Settings& settings) { rule.of[dtype<T>].make(settings.hyper, memory); }
  operator const void*() const { return memory; }

 private:
  alignas(16) char memory[rule_size];
};

bool is_prepared(const Span& span) {
  return span.grad_sum != nullptr || span.settings->l2 != 0 ||
         span.settings->clip_value != std::numeric_limits<double>::infinity();
}

// x <- the mean of the gradients, scaled, clipped, and with the gradient of the L2 penalty. The last pass that needs
// the gradients sets their sum to zero, and the newest too if it should.
template <class T>
__attribute__((noinline)) void prepare(const Settings& settings, const T* __restrict w, T* __restrict g,
                                       T* __restrict sum, std::size_t n, double clip, bool last, T* __restrict x) {
  const T count = T(settings.count), scale = T(settings.scale * clip);
  const T limit = T(settings.clip_value), l2 = T(settings.l2);
  if (sum != nullptr)
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) x[i] = (sum[i] + g[i]) / count;
  else
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) x[i] = g[i];
  if (last && sum != nullptr)
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) sum[i] = 0;
  if (last && settings.zero_grads)
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) g[i] = 0;
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) {
    const T y = scale * x[i];
    x[i] = y > limit ? limit : y < -limit ? -limit : y;
  }
  if (l2 != 0)
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) x[i] = x[i] + l2 * w[i];
}

template <class T>
void prepare(const Span& span, std::size_t offset, std::size_t n, double clip, bool last, T* x) {
  prepare<T>(*span.settings, at<T>(span.arrays[0], offset), at<T>(span.arrays[1], offset), at<T>(span.grad_sum, offset),
             n, clip, last, x);
}

// The number of the tensor, or of the row that begins at `offset`.
template <class T>
T* own(const Rule& rule, const Span& span, std::size_t offset) {
  return rule.own < 0 ? nullptr : at<T>(span.arrays[2 + rule.own], rule.by_row ? offset / span.row : 0);
}

// A piece of a span; `prepared` is the gradient, where it is not that of the span itself.
template <class T>
Piece piece_of(const Rule& rule, const Span& span, std::size_t offset, std::size_t n, double clip, double factor,
               T* prepared) {
  Piece piece;
  piece.n = n, piece.slot = span.n;
  piece.scale = prepared != nullptr ? 1 : span.settings->scale * clip;
  piece.factor = factor;
  piece.ema = at<T>(span.ema, offset), piece.ema_weight = span.settings->ema_weight;
  for (int k = 0; k < 2 + rule.n_state; ++k) piece.arrays[k] = at<T>(span.arrays[k], offset);
  if (rule.own >= 0) piece.arrays[2 + rule.own] = own<T>(rule, span, offset);
  if (prepared != nullptr) piece.arrays[1] = prepared;
  return piece;
}

// Not inlined, for its stack.
template <class T>
__attribute__((noinline)) void update_prepared(const Rule& rule, const void* made, const Span& span, std::size_t offset,
                                               std::size_t n, double clip, double factor) {
  const auto loop = rule.of[dtype<T>].loop[false][span.ema != nullptr];
  T x[tile];
  for (const std::size_t end = offset + n; offset < end; offset += n) {
    n = end - offset < tile ? end - offset : tile;
    prepare<T>(span, offset, n, clip, true, x);
    loop(made, piece_of<T>(rule, span, offset, n, 1, factor, x));
  }
}

template <class T>
__attribute__((noinline)) Sums measure_prepared(const Rule& rule, const void* made, const Span& span,
                                                std::size_t offset, std::size_t n, double clip, T* x) {
  prepare<T>(span, offset, n, clip, false, x);
  return rule.of[dtype<T>].measure(made, piece_of<T>(rule, span, offset, n, 1, 0, x));
}

// The pass before it of a rule that measures, over a chunk of a span.
template <class T>
Sums measure_part(const Rule& rule, const void* made, const Span& span, std::size_t offset, std::size_t n, double clip,
                  void* scratch) {
  if (is_prepared(span)) return measure_prepared<T>(rule, made, span, offset, n, clip, static_cast<T*>(scratch));
  return rule.of[dtype<T>].measure(made, piece_of<T>(rule, span, offset, n, clip, 0, nullptr));
}

template <class T>
Sums measure(const Rule& rule, const Span& span, std::size_t offset, std::size_t n, double clip, void* scratch) {
  return measure_part<T>(rule, Made<T>(rule, *span.settings), span, offset, n, clip, scratch);
}

// The factor that a rule makes of its sums over a tensor.
template <class T>
double settle(const Rule& rule, const Span& span, const Sums& sums) {
  const Made<T> made(rule, *span.settings);
  const std::size_t n = span.slice != nullptr ? span.slice->n : span.n;
  return rule.of[dtype<T>].settle(made, sums, double(n), own<T>(rule, span, 0));
}

// Rows whose gradient is prepared, a second time after they were measured. Others are measured by the loop itself.
template <class T>
__attribute__((noinline)) void update_prepared_rows(const Rule& rule, const void* made, const Span& span,
                                                    std::size_t offset, std::size_t n, double clip, T* x) {
  for (const std::size_t end = offset + n; offset < end; offset += span.row) {
    Sums sums;
    for (std::size_t i = 0; i < span.row; i += chunk) {
      const Sums part = measure_prepared<T>(rule, made, span, offset + i, smaller(span.row - i, chunk), clip, x);
      for (int k = 0; k < 2; ++k) sums.x[k] += part.x[k];
    }
    const double factor = rule.of[dtype<T>].settle(made, sums, double(span.row), own<T>(rule, span, offset));
    update_prepared<T>(rule, made, span, offset, span.row, clip, factor);
  }
}

// Array k of a span, from an element on that begins a block of it.
Stored stored_at(const Span& span, int k, std::size_t offset) {
  const Storage storage = span.narrow->storage[k];
  return {at<char>(span.arrays[k], offset * bytes_of(storage)),
          at<char>(span.narrow->more[k], more_at(storage, span.first + offset)), nullptr, 0};
}

Stored copy_at(const Span& span, std::size_t offset) {
  return {at<char>(span.narrow->copy, (span.first + offset) * bytes_of(span.narrow->copied)), nullptr, nullptr, 0};
}

// The place of its first element in the whole tensor, of which it may be a slice, or a row.
std::size_t first_of(const Span& span) { return span.first + (span.slice != nullptr ? span.slice->begin : 0); }

// Random bits for a block: of a word, the weight and two states take 16 each, which overlap; three more states those of
// a second word, and so on.
class Random {
 public:
  Random(const Span& span, int n_arrays)
      : narrow(*span.narrow), key(key_of(span.settings->seed, span.settings->step, narrow.tensor)) {
    for (int k = 0; k < n_arrays; ++k)
      if (narrow.is_random[k]) is_drawn[place(k) / 3] = true;
  }

  void draw(std::size_t first, std::size_t n) {
    for (u32 k = 0; k < n_words; ++k)
      if (is_drawn[k]) draw(words[k], {key.a, key.b + k}, u32(first), n);
  }

  void give(int k, Stored& to) const {
    if (narrow.is_random[k]) to.random = words[place(k) / 3], to.shift = random_shifts[place(k) % 3];
  }

 private:
  static int place(int k) { return k == 0 ? 0 : k - 1; }  // the gradient has none

  static void draw(u32* __restrict to, Key key, u32 first, std::size_t n) {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) to[i] = random_bits(first + u32(i), key);
  }

  const Narrow& narrow;
  static constexpr u32 n_words = (max_state + 3) / 3;
  const Key key;
  bool is_drawn[n_words] = {};
  alignas(64) u32 words[n_words][block];
};

// Whether all that a step reads and writes is bfloat16, of which the states are rounded at random.
bool is_of_halves(const Rule& rule, const Span& span) {
  const Narrow& narrow = *span.narrow;
  for (int k = 0; k < 2 + rule.n_state; ++k)
    if (narrow.storage[k] != Storage::bfloat16 || (k > 1 && !narrow.is_random[k])) return false;
  return !is_prepared(span) && !span.settings->zero_grads && span.ema == nullptr && narrow.copy == nullptr;
}

// The loop takes pairs: an odd number at the end gets a neighbour.
void update_halves(const Rule& rule, const void* made, const Span& span, std::size_t offset, std::size_t n,
                   double clip) {
  const Settings& settings = *span.settings;
  const int n_arrays = 2 + rule.n_state;
  const Key key = fusedoptim::key_of(settings.seed, settings.step, span.narrow->tensor);
  const auto loop = rule.of[0].halves[span.narrow->is_random[0]];
  const u32 first = u32(first_of(span) + offset);
  Piece piece;
  piece.n = n, piece.scale = settings.scale * clip;
  for (int k = 0; k < n_arrays; ++k) piece.arrays[k] = stored_at(span, k, offset).array;
  loop(made, piece, key, first);
  if (n % 2 == 0) return;
  u16 pairs[2 + max_state][2] = {}, *last[2 + max_state];
  piece.n = 2;
  for (int k = 0; k < n_arrays; ++k) {
    last[k] = static_cast<u16*>(piece.arrays[k]) + n - 1;
    pairs[k][0] = *last[k];
    piece.arrays[k] = pairs[k];
  }
  loop(made, piece, key, first + u32(n - 1));
  for (int k = 0; k < n_arrays; ++k)
    if (k != 1) *last[k] = pairs[k][0];
}

// A tensor of which not all is float32: a block at a time is loaded, stepped, and stored.
__attribute__((noinline)) void update_narrow(const Rule& rule, const void* made, const Span& span, std::size_t offset,
                                             std::size_t n, double clip) {
  const Narrow& narrow = *span.narrow;
  const bool prepares = is_prepared(span), zeroes = span.settings->zero_grads;
  const bool has_own_gradient = narrow.storage[1] == Storage::native;
  const auto loop = rule.of[0].loop[zeroes && !prepares && has_own_gradient][span.ema != nullptr];
  const int n_arrays = 2 + rule.n_state;
  alignas(64) float tiles[2 + max_state][block], prepared[block];
  Random random(span, n_arrays);
  Piece piece;
  piece.slot = span.n;
  piece.scale = prepares ? 1 : span.settings->scale * clip, piece.ema_weight = span.settings->ema_weight;
  for (const std::size_t end = offset + n; offset < end; offset += n) {
    piece.n = n = smaller(end - offset, block);
    piece.ema = at<float>(span.ema, offset);
    for (int k = 0; k < n_arrays; ++k) {
      const Format& format = formats[int(narrow.storage[k])];
      piece.arrays[k] = format.load != nullptr ? tiles[k] : at<float>(span.arrays[k], offset);
      if (format.load != nullptr) format.load(stored_at(span, k, offset), n, tiles[k]);
    }
    if (prepares) {
      float *const w = static_cast<float*>(piece.arrays[0]), *const g = static_cast<float*>(piece.arrays[1]);
      prepare<float>(*span.settings, w, g, at<float>(span.grad_sum, offset), n, clip, true, prepared);
      piece.arrays[1] = prepared;
    }
    loop(made, piece);
    random.draw(first_of(span) + offset, n);
    for (int k = 0; k < n_arrays; ++k) {
      const Format& format = formats[int(narrow.storage[k])];
      if (format.store == nullptr || (rule.moved[0].writes >> k & 1) == 0) continue;
      const bool in_blocks = narrow.storage[k] >= Storage::e4m3;  // a scale is of a whole one
      for (std::size_t i = n; in_blocks && i < block; ++i) tiles[k][i] = 0;
      Stored to = stored_at(span, k, offset);
      random.give(k, to);
      format.store(to, n, tiles[k]);
    }
    if (narrow.copy != nullptr && (rule.moved[0].writes & 1) != 0)
      formats[int(narrow.copied)].store(copy_at(span, offset), n, static_cast<const float*>(piece.arrays[0]));
    if (zeroes && !has_own_gradient) memset(stored_at(span, 1, offset).array, 0, n * bytes_of(narrow.storage[1]));
  }
}

// The pass that writes the weights, over n elements of a span.
template <class T>
void update_part(const Rule& rule, const void* made, const Span& span, std::size_t offset, std::size_t n, double clip,
                 void* scratch) {
  if (span.narrow != nullptr) {
    const bool in_registers = rule.of[0].halves[0] != nullptr && is_of_halves(rule, span);
    return (in_registers ? update_halves : update_narrow)(rule, made, span, offset, n, clip);
  }
  if (is_prepared(span) && rule.by_row)
    return update_prepared_rows<T>(rule, made, span, offset, n, clip, static_cast<T*>(scratch));
  if (is_prepared(span)) return update_prepared<T>(rule, made, span, offset, n, clip, span.factor);
  Piece piece = piece_of<T>(rule, span, offset, n, clip, span.factor, nullptr);
  piece.row = rule.by_row ? span.row : 0;
  rule.of[dtype<T>].loop[span.settings->zero_grads][span.ema != nullptr](made, piece);
}

// Asks for the arrays of a span, as far as the processor would not see by itself what comes next.
__attribute__((noinline)) void fetch(const Rule& rule, const Span& span, std::size_t item) {
  constexpr std::size_t line = 64, most = 512;
  for (int k = 0; k < 2 + rule.n_state; ++k) {
    const std::size_t bytes = (k == 2 + rule.own && rule.own >= 0 ? 1 : span.n) * item, end = smaller(bytes, most);
    auto* array = static_cast<char*>(span.arrays[k]);
    for (std::size_t i = 0; i < end; i += line) __builtin_prefetch(array + i, 1);
    __builtin_prefetch(array + end - 1, 1);
  }
  __asm__ volatile("");  // else GCC 12 drops the call of a function that only prefetches
}

// The elements before the first cache line, if it begins at the same one in all arrays: NumPy's large ones begin within
// a line, all at the same place, and each vector of a loop from there would lie in two lines.
template <class T>
std::size_t before_line(const Rule& rule, const Span& span, std::size_t offset, std::size_t n) {
  constexpr std::size_t line = 64, worth = 4096;
  if (n < worth || rule.by_row) return 0;
  const auto place = [](const void* array) { return reinterpret_cast<std::uintptr_t>(array) % line; };
  const std::size_t wanted = place(span.arrays[0]);
  for (int k = 1; k < 2 + rule.n_state; ++k)
    if (k != 2 + rule.own && place(span.arrays[k]) != wanted) return 0;
  for (const void* array : {span.grad_sum, span.ema})
    if (array != nullptr && place(array) != wanted) return 0;
  return (line - place(at<T>(span.arrays[0], offset))) % line / sizeof(T);
}

template <class T>
void update(const Rule& rule, const Span* span, Share share, double clip, void* scratch) {
  const Settings* settings = span->settings;
  Made<T> made(rule, *settings);
  const Span* ahead = span + 1;
  std::size_t unseen = share.n - smaller(share.n, span->n - share.offset);
  for (; share.n > 0; ++span, share.offset = 0) {
    for (; ahead < span + 16 && unseen > 0; unseen -= smaller(unseen, ahead->n), ++ahead)
      if (ahead->n == ahead->row && ahead->narrow == nullptr)
        fetch(rule, *ahead, sizeof(T));  // rows of a table lie far apart
    if (span->settings != settings) made = Made<T>(rule, *(settings = span->settings));
    const std::size_t n = smaller(share.n, span->n - share.offset);
    const std::size_t before = span->narrow != nullptr ? 0 : before_line<T>(rule, *span, share.offset, n);
    if (before > 0) update_part<T>(rule, made, *span, share.offset, before, clip, scratch);
    update_part<T>(rule, made, *span, share.offset + before, n - before, clip, scratch);
    share.n -= n;
  }
}

// Asks for two rows of what will be read soon: the processor by itself does not look beyond a page.
template <class T>
void fetch_ahead(const T* x) {
  constexpr std::size_t bytes = 8192, line = 64;
  const auto ahead = reinterpret_cast<std::uintptr_t>(x) + bytes;  // which may lie behind the array
  for (std::size_t i = 0; i < 2 * lanes * sizeof(T); i += line)
    __builtin_prefetch(reinterpret_cast<const void*>(ahead + i), 0, 2);
}

// Of the gradient, or of its mean with those before.
template <class T>
FUSEDOPTIM_FLAT __attribute__((noinline)) Sums square_sum(const Span& span, const T* g, std::size_t offset,
                                                          std::size_t n) {
  const T* sum = at<T>(span.grad_sum, offset);
  const T count = T(span.settings->count);
  const auto asks = [=](std::size_t i) { fetch_ahead(g + i); };
  const auto x = [=](std::size_t i) { return g[i]; };
  if (sum == nullptr && span.n >= large) return square_sum_in_lanes<T>(n, x, asks);
  if (sum == nullptr) return square_sum_in_lanes<T>(n, x);
  return square_sum_in_lanes<T>(n, [=](std::size_t i) { return (sum[i] + g[i]) / count; });
}

__attribute__((noinline)) Sums narrow_gradient_square_sum(const Span& span, std::size_t offset, std::size_t n) {
  float g[chunk];
  for (std::size_t i = 0; i < n; i += block)
    formats[int(span.narrow->storage[1])].load(stored_at(span, 1, offset + i), smaller(n - i, block), g + i);
  return square_sum(span, g, offset, n);
}

template <class T>
Sums gradient_square_sum(const Span& span, std::size_t offset, std::size_t n) {
  if (span.narrow != nullptr && span.narrow->storage[1] != Storage::native)
    return narrow_gradient_square_sum(span, offset, n);
  return square_sum(span, at<T>(span.arrays[1], offset), offset, n);
}

// What follows the last pass of a matrix rule over a piece: the gradient is zeroed, the weight averaged.
template <class T>
__attribute__((noinline)) void finish(const Span& span, std::size_t offset, std::size_t n, bool zeroed) {
  T* g = at<T>(span.arrays[1], offset);
  const T* w = at<T>(span.arrays[0], offset);
  if (zeroed)
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) g[i] = 0;
  if (span.ema == nullptr) return;
  const auto average = average_of<T, true>(at<T>(span.ema, offset), span.settings->ema_weight);
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) average(i, w[i]);
}

// Consecutive lines of one band.
template <class T, bool prepared>
__attribute__((noinline)) void pass_band(const Rule& rule, int p, const Span& span, const Grid& grid, Share lines,
                                         const Notes& notes, double clip, T* x) {
  const Made<T> made(rule, *span.settings);
  const bool last = p == rule.n_passes - 1, zeroed = last && !prepared && span.settings->zero_grads;
  const bool finishes = zeroed || (last && span.ema != nullptr);
  const auto pass = rule.of[dtype<T>].pass[p];
  double* columns = is_vector(grid) ? nullptr : notes.columns + band_of(grid, lines.offset) * grid.columns;
  const bool long_lines = grid.columns > chunk;
  const std::size_t at_once = long_lines ? 1 : prepared ? chunk / grid.columns : lines.n, end = lines.offset + lines.n;
  for (std::size_t line = lines.offset, next; line < end; line = next) {
    next = smaller(line + at_once, end);
    const std::size_t first = line * grid.columns, stop = smaller(next * grid.columns, span.n);
    for (std::size_t offset = first, n; offset < stop; offset += n) {
      n = long_lines ? smaller(stop - offset, chunk) : stop - offset;
      if (prepared) prepare<T>(span, offset, n, clip, last, x);
      const T* g = prepared ? x : at<T>(span.arrays[1], offset);
      const double scale = prepared ? 1 : span.settings->scale * clip;
      const std::size_t column = offset - first;
      pass(made, {span, grid, line, column, n, g, scale, notes.lines + line, columns + column});
      if (finishes) finish<T>(span, offset, n, zeroed);
    }
  }
}

// How many lines it and the rest of its band are.
std::size_t left_of_band(const Grid& grid, std::size_t line) {
  const std::size_t in_matrix = line % grid.of_matrix, in_band = in_matrix % grid.band;
  return smaller(grid.band - in_band, grid.of_matrix - in_matrix);
}

template <class T>
void pass(const Rule& rule, int p, const Span& span, const Grid& grid, Share lines, const Notes& notes, double clip,
          void* scratch) {
  const auto band = is_prepared(span) ? pass_band<T, true> : pass_band<T, false>;
  for (std::size_t n; lines.n > 0; lines.offset += n, lines.n -= n) {
    n = smaller(left_of_band(grid, lines.offset), lines.n);
    band(rule, p, span, grid, {lines.offset, n}, notes, clip, static_cast<T*>(scratch));
  }
}

template <class T>
void close(const Rule& rule, int p, Span& span, const Grid& grid, const Notes& notes) {
  rule.of[dtype<T>].close[p](Made<T>(rule, *span.settings), span, grid, notes);
}

template <class T>
constexpr Driver driver = {update<T>, gradient_square_sum<T>, measure<T>, settle<T>, pass<T>, close<T>, mean<T>};

}  // namespace

#define FUSEDOPTIM_STRING_(x) #x
#define FUSEDOPTIM_STRING(x) FUSEDOPTIM_STRING_(x)

namespace fusedoptim::FUSEDOPTIM_ISA {

#define FUSEDOPTIM_DECLARE(name) extern const Unit name;
#define FUSEDOPTIM_ADDRESS(name) &name,
FUSEDOPTIM_DECLARE(helpers)
FUSEDOPTIM_UNITS(FUSEDOPTIM_DECLARE)
static const Unit* const units[] = {&helpers, FUSEDOPTIM_UNITS(FUSEDOPTIM_ADDRESS)};

extern const Table table;
const Table table = {FUSEDOPTIM_STRING(FUSEDOPTIM_ISA),
                     units,
                     int(sizeof units / sizeof *units),
                     {driver<float>, driver<double>},
                     formats};

}  // namespace fusedoptim::FUSEDOPTIM_ISA
