// Prints a digest of what each kernel computes from the same input, one line for each rule, dtype and way to step:
// digests [<instruction set> [<threads>]]. Machines whose lines are equal compute the same bits. Knows no Python, so
// that it can be built for another architecture and run under emulation.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <limits>

#include "run.hpp"
#include "threads.hpp"

namespace {

using namespace fusedoptim;

constexpr std::size_t window = 4;  // slots of a ring
constexpr int steps = 4;
constexpr const char* dtypes[] = {"float32", "float64"};
constexpr double inf = std::numeric_limits<double>::infinity();

// SplitMix64 (Steele, Lea, Flood, 2014).
class Random {
 public:
  std::uint64_t bits() {
    std::uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // Both signs, and magnitudes over 2^±40; made by exact operations alone.
  double number() {
    const auto exponent = int(bits() % 81) - 40;
    const double x = std::ldexp(1 + double(bits() >> 12) * 0x1p-52, exponent);
    return bits() & 1 ? x : -x;
  }

 private:
  std::uint64_t state = 1;
};

// FNV-1a with whole numbers in the place of bytes.
class Digest {
 public:
  template <class T>
  void add(const std::vector<T>& numbers) {
    for (T x : numbers) {
      if (x != x) x = std::numeric_limits<T>::quiet_NaN();  // its sign and payload are nobody's promise
      std::uint64_t bits = 0;
      std::memcpy(&bits, &x, sizeof x);
      value = (value ^ bits) * 0x100000001b3;
    }
  }
  std::uint64_t value = 0xcbf29ce484222325;
};

// How a step is taken: with the defaults, with other hyper-parameters, or with all that may surround a rule; of a
// float32 rule that may be so, on numbers of 16 bits, and on states of 8.
enum Way { defaults, others, whole_step, special, n_wide_ways, halves = n_wide_ways, codes, n_ways };
constexpr const char* ways[] = {"defaults", "others", "whole_step", "special", "halves", "codes"};

// Not 0, which would switch a part of the rule off.
double other(const Hyper& hyper) {
  switch (hyper.domain) {
    case Domain::unit:
    case Domain::real:
    case Domain::positive:
    case Domain::non_negative:
    case Domain::non_positive: return hyper.fallback == 0 ? 0.125 : hyper.fallback * 0.75;
    default: return hyper.fallback;
  }
}

void set_hyper(const Rule& rule, Way way, int t, double* hyper) {
  for (int k = 0; k < rule.n_hyper; ++k) {
    const Hyper& each = rule.signature->hyper[k];
    const bool is_t = std::strcmp(each.name, "t") == 0;
    hyper[k] = is_t ? t : each.domain == Domain::slots ? window : way == others ? other(each) : each.fallback;
  }
}

// One tensor, and all that a step may have to do with it.
template <class T>
struct Tensor {
  std::vector<std::size_t> axes;
  std::size_t n = 1;
  std::vector<T> arrays[2 + max_state], grad_sum, ema;

  Tensor(std::vector<std::size_t> shape, Way way, Random& random) : axes(shape) {
    for (const std::size_t axis : axes) n *= axis;
    for (auto& array : arrays) array.resize(window * n);  // enough for a state of any shape
    for (T& x : arrays[0]) x = T(random.number() * 0x1p-40);
    for (int k = 2; k < 2 + max_state;
         ++k)  // of a size that fits the gradients, and positive as averages of squares are
      for (T& x : arrays[k]) x = T(std::fabs(random.number()));
    if (way == whole_step) grad_sum = arrays[2], ema = arrays[3];
  }

  void draw_gradient(Way way, Random& random) {
    constexpr double few[] = {0.0, -0.0, inf, -inf, std::numeric_limits<double>::quiet_NaN()};
    for (T& g : arrays[1]) g = T(way == special && random.bits() % 16 == 0 ? few[random.bits() % 5] : random.number());
  }

  Span span(const Settings& settings, int dtype) {
    Span span = {{}, n, dtype, &settings, axes.data(), axes.size(), axes.empty() ? 1 : n / axes[0]};
    for (int k = 0; k < 2 + max_state; ++k) span.arrays[k] = arrays[k].data();
    if (!ema.empty()) span.grad_sum = grad_sum.data(), span.ema = ema.data();
    return span;
  }
};

// The same in few bits: a weight of 16 that are rounded at random, or with the rest of a float32; a bfloat16 gradient;
// and states of 16 or 8.
struct NarrowTensor {
  std::vector<std::uint16_t> w, rest, g, states[max_state];
  std::vector<float> wide[max_state], scales[max_state];
  Narrow narrow;
  Span span;

  NarrowTensor(std::size_t n, const Rule& rule, Way way, Random& random, const Settings& settings)
      : w(n), rest(n), g(n), span{{w.data(), g.data()}, n, 0, &settings} {
    for (std::uint16_t& each : w) each = std::uint16_t(random.bits() % 0x8000 | 0x2000);
    narrow.storage[0] = way == codes ? Storage::split : Storage::bfloat16, narrow.is_random[0] = way == halves;
    narrow.more[0] = rest.data(), narrow.storage[1] = Storage::bfloat16;
    for (int k = 0; k < rule.n_state; ++k) add_state(k, rule.signature->state[k].narrows, way);
  }

  void add_state(int k, Narrows narrows, Way way) {
    const bool is_signed = narrows == Narrows::any_sign;
    const std::size_t blocks = (span.n + block - 1) / block;
    wide[k].resize(window * span.n), states[k].resize(blocks * block), scales[k].resize(blocks);
    span.arrays[2 + k] = narrows == Narrows::no ? static_cast<void*>(wide[k].data()) : states[k].data();
    if (narrows == Narrows::no) return;
    narrow.storage[2 + k] = way == halves ? Storage::bfloat16 : is_signed ? Storage::e4m3 : Storage::e5m3;
    narrow.is_random[2 + k] = way == halves || !is_signed, narrow.more[2 + k] = scales[k].data();
  }

  void draw_gradient(Random& random) {
    for (std::uint16_t& each : g) each = std::uint16_t(0x3800 + random.bits() % 0x0800 + (random.bits() & 1) * 0x8000);
  }

  void add_to(Digest& digest) const {
    digest.add(w), digest.add(rest);
    for (int k = 0; k < max_state; ++k) digest.add(states[k]), digest.add(scales[k]), digest.add(wide[k]);
  }
};

Settings settings_of(Way way) {
  Settings settings = {};
  if (way != whole_step) return settings;
  settings.count = 3, settings.clip_value = 0.75, settings.l2 = 0.125, settings.ema_weight = 0.1;
  settings.zero_grads = true;
  return settings;
}

template <class T>
std::uint64_t digest(const Rule& rule, int dtype, Way way, int threads) {
  Random random;
  std::vector<Tensor<T>> tensors;
  // The third takes more than one thread.
  for (const auto& shape : {std::vector<std::size_t>{}, {5}, {33'001}, {37, 53}, {3, 129, 7}})
    tensors.emplace_back(shape, way, random);
  for (int t = 1; t <= steps; ++t) {
    Settings settings = settings_of(way);
    set_hyper(rule, way, t, settings.hyper);
    Work work;
    for (auto& tensor : tensors) tensor.draw_gradient(way, random), work.add(tensor.span(settings, dtype));
    Run run(work, rule, threads, way == whole_step);
    run.update(way == whole_step ? 1 / std::sqrt(run.square_sum()) : 1);
  }
  Digest digest;
  for (const auto& tensor : tensors) {
    for (const auto& array : tensor.arrays) digest.add(array);
    digest.add(tensor.grad_sum), digest.add(tensor.ema);
  }
  return digest.value;
}

std::uint64_t narrow_digest(const Rule& rule, Way way, int threads) {
  Random random;
  Settings settings = {};
  settings.seed = 7;
  std::deque<NarrowTensor> tensors;
  for (const std::size_t n : {std::size_t(1), std::size_t(700), std::size_t(33'001)})
    tensors.emplace_back(n, rule, way, random, settings);
  for (int t = 1; t <= steps; ++t) {
    set_hyper(rule, defaults, t, settings.hyper);
    settings.step = std::uint64_t(t);
    Work work;
    for (auto& tensor : tensors) {
      tensor.draw_gradient(random);
      tensor.span.narrow = &tensor.narrow;
      work.add(tensor.span);
    }
    Run(work, rule, threads).update();
  }
  Digest digest;
  for (const auto& tensor : tensors) tensor.add_to(digest);
  return digest.value;
}

void print(const char* rule, int dtype, int way, std::uint64_t value) {
  std::printf("%s %s %s %016llx\n", rule, dtypes[dtype], ways[way], static_cast<unsigned long long>(value));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && !use_isa(argv[1])) return std::fprintf(stderr, "this CPU has no %s\n", argv[1]), 1;
  const int threads = argc > 2 ? std::atoi(argv[2]) : 2;
  set_least_to_wake(0);
  for (const Rule& rule : active_isa().rules) {
    if (rule.n_hyper == 0) continue;  // a helper
    for (int way = 0; way < n_wide_ways; ++way) {
      print(rule.signature->name, 0, way, digest<float>(rule, 0, Way(way), threads));
      print(rule.signature->name, 1, way, digest<double>(rule, 1, Way(way), threads));
    }
    for (int way = n_wide_ways; way < n_ways && may_be_narrow(rule); ++way)
      print(rule.signature->name, 0, way, narrow_digest(rule, Way(way), threads));
  }
}
