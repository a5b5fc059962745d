// The driver: runs a rule over memory. Compiled once per instruction set, as FUSEDOPTIM_ISA.
//
//   Stream  how one argument of a rule lies in memory; storage formats live here, a rule sees numbers alone
//   loop    one pass over n elements, which the compiler vectorises
//   update  what the table holds: a rule on a share of consecutive spans
#include <type_traits>
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

// An argument of a rule: T is read, T& is read and written.
template <class Storage, class Argument>
struct Stream {
  using T = typename Storage::Value;
  static constexpr std::size_t tile = ~std::size_t(0);  // any number of elements at once
  typename Storage::Stored* data;

  template <class Rule>
  Stream(const Rule&, void* array, std::size_t offset, std::size_t)
      : data(static_cast<typename Storage::Stored*>(array) + offset) {}
  void start_tile(std::size_t, std::size_t) {}
  T load(std::size_t i) const { return Storage::load(data[i]); }
  void store(std::size_t i, T x) const {
    if constexpr (std::is_reference_v<Argument>) Storage::store(data[i], x);
  }
};

// A ring of rows of past gradients: summed row by row, a tile at a time that stays in cache.
template <class Storage, class T>
struct Stream<Storage, Past<T>&> {
  static constexpr std::size_t tile = 2048;
  typename Storage::Stored* data;
  std::size_t stride, rows, newest, begin = 0;
  T sum[tile];

  template <class Rule>
  Stream(const Rule& rule, void* array, std::size_t offset, std::size_t n)
      : data(static_cast<typename Storage::Stored*>(array) + offset), stride(n), rows(rule.window),
        newest(rule.newest) {}
  // Not inlined: inside `loop`, GCC 12 leaves the sum scalar.
  __attribute__((noinline)) void start_tile(std::size_t first, std::size_t n) {
    begin = first;
    for (std::size_t i = 0; i < n; ++i) sum[i] = 0;
    for (std::size_t age = rows - 1; age > 0; --age) {
      const auto* row = data + (newest + rows - age) % rows * stride + begin;
#pragma omp simd
      for (std::size_t i = 0; i < n; ++i) sum[i] = sum[i] + Storage::load(row[i]);
    }
  }
  Past<T> load(std::size_t i) const { return {sum[i - begin], 0}; }
  void store(std::size_t i, const Past<T>& past) const { Storage::store(data[newest * stride + i], past.newest); }
};

// Not inlined, so that no arithmetic can move across a change of the floating-point mode.
template <class Rule, class... Streams>
__attribute__((noinline)) void loop(const Rule rule, std::size_t n, Streams... streams) {
  std::size_t tile = n;
  for (const std::size_t limit : {Streams::tile...}) tile = limit < tile ? limit : tile;
  for (std::size_t begin = 0; begin < n; begin += tile) {
    const std::size_t end = n - begin < tile ? n : begin + tile;
    (streams.start_tile(begin, end - begin), ...);
#pragma omp simd
    for (std::size_t i = begin; i < end; ++i)
      [&](auto... x) {
        rule(x...);
        (streams.store(i, x), ...);
      }(streams.load(i)...);
  }
}

template <class Storage, class Rule, class... Arguments, std::size_t... I>
void update_spans(const Rule& rule, void (Rule::*)(Arguments...) const, std::index_sequence<I...>, const Span* span,
                  Share share) {
  const FlushSubnormals flush;
  for (; share.n > 0; ++span, share.offset = 0) {
    const std::size_t left = span->n - share.offset;
    const std::size_t n = left < share.n ? left : share.n;
    loop(rule, n, Stream<Storage, Arguments>(rule, span->arrays[I], share.offset, span->n)...);
    share.n -= n;
  }
}

template <class Rule, class... Arguments>
constexpr int count_state(void (Rule::*)(Arguments...) const) {
  return sizeof...(Arguments) - 2;
}

template <class Rule>
constexpr int n_state = count_state(&Rule::operator());

template <class Rule>
constexpr int count_hyper() {
  int n = 0;
  while (Rule::signature.hyper[n].name != nullptr) ++n;
  return n;
}

template <class Rule, std::size_t... I>
Rule make(const double* hyper, std::index_sequence<I...>) {
  return Rule{hyper[I]...};
}

template <class Rule>
Rule make(const double* hyper) {
  return make<Rule>(hyper, std::make_index_sequence<count_hyper<Rule>()>());
}

template <class Rule, class T, class... States>
Mean<Rule, T, States...> mean(const Rule& rule, double count, void (Rule::*)(T&, T, States...) const) {
  return {rule, T(count)};
}

template <class Storage, class Rule>
void update(const Span* first, Share share, const double* hyper) {
  update_spans<Storage>(make<Rule>(hyper), &Rule::operator(), std::make_index_sequence<2 + n_state<Rule>>(), first,
                        share);
}

template <class Storage, class Rule>
void update_mean(const Span* first, Share share, const double* hyper) {
  const auto rule = mean(make<Rule>(hyper), hyper[count_hyper<Rule>()], &Rule::operator());
  update_spans<Storage>(rule, &decltype(rule)::operator(), std::make_index_sequence<3 + n_state<Rule>>(), first, share);
}

template <template <class> class Rule>
constexpr Row make_row() {
  using R = Rule<float>;
  Row row = {R::signature, n_state<R>, count_hyper<R>(), {}, {}};
  row.update[0] = update<Plain<float>, Rule<float>>;
  row.update[1] = update<Plain<double>, Rule<double>>;
  if constexpr (count_hyper<R>() > 0) {
    row.update_mean[0] = update_mean<Plain<float>, Rule<float>>;
    row.update_mean[1] = update_mean<Plain<double>, Rule<double>>;
  }
  return row;
}

template <class>
struct RowsOf;

template <template <class> class... Rule>
struct RowsOf<List<Rule...>> {
  static constexpr Row rows[] = {make_row<Rule>()...};
  static constexpr std::size_t n = sizeof...(Rule);
};

}  // namespace

#define FUSEDOPTIM_STRING_(x) #x
#define FUSEDOPTIM_STRING(x) FUSEDOPTIM_STRING_(x)
#define FUSEDOPTIM_JOIN_(a, b) a##b
#define FUSEDOPTIM_JOIN(a, b) FUSEDOPTIM_JOIN_(a, b)

namespace fusedoptim {

extern const Table FUSEDOPTIM_JOIN(table_, FUSEDOPTIM_ISA);
const Table FUSEDOPTIM_JOIN(table_, FUSEDOPTIM_ISA) = {FUSEDOPTIM_STRING(FUSEDOPTIM_ISA), RowsOf<Rules>::rows,
                                                       RowsOf<Rules>::n};

}  // namespace fusedoptim
