#include "shares.hpp"

#include "flush.hpp"

namespace fusedoptim {

namespace {

constexpr std::uint64_t one_share = 1 << 16;
constexpr std::uint64_t low = one_share - 1;

std::uint64_t word_of(std::uint32_t number, std::size_t next, std::size_t end) {
  return std::uint64_t(number) << 32 | std::uint64_t(next) << 16 | std::uint64_t(end);
}

}  // namespace

void do_alone(const Phase& phase) {
  const FlushSubnormals flush;
  for (std::size_t k = 0; k < phase.shares; ++k) phase.each(phase.what, k, 0);
}

std::uint32_t Shares::begin(const Phase& begun, int n_threads) {
  ++number;
  phase = begun;
  threads.store(n_threads, std::memory_order_relaxed);
  left.store(phase.shares, std::memory_order_relaxed);
  const auto start = [&](int k) { return phase.shares * std::size_t(k) / std::size_t(n_threads); };
  for (int k = 0; k < n_threads; ++k)
    blocks[std::size_t(k)].word.store(word_of(number, start(k), start(k + 1)), std::memory_order_release);
  return number;
}

bool Shares::work(std::uint32_t of, int thread) {
  const FlushSubnormals flush;
  const int n = threads.load(std::memory_order_relaxed);
  bool ended = false;
  for (int k = 0; k < n; ++k) {
    auto& block = blocks[std::size_t((thread + k) % n)].word;
    for (std::uint64_t seen = block.load(std::memory_order_acquire);;) {
      if (std::uint32_t(seen >> 32) != of) return ended;
      const std::uint64_t share = seen >> 16 & low;
      if (share == (seen & low)) break;
      if (!block.compare_exchange_weak(seen, seen + one_share, std::memory_order_acquire)) continue;
      phase.each(phase.what, share, thread);
      ended = left.fetch_sub(1) == 1;
      seen = block.load(std::memory_order_acquire);
    }
  }
  return ended;
}

}  // namespace fusedoptim
