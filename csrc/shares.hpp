// The shares of a phase: they may be done in any order, by any thread, and are claimed, not assigned. So nobody waits
// for a thread that has no CPU, only for shares that somebody is in the middle of.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace fusedoptim {

// each(what, k, thread) does share k, on one of the phase's threads.
struct Phase {
  std::size_t shares;
  const void* what;
  void (*each)(const void* what, std::size_t k, int thread);
};

template <class Each>
Phase phase_of(std::size_t shares, const Each& each) {
  return {shares, &each,
          [](const void* what, std::size_t k, int thread) { (*static_cast<const Each*>(what))(k, thread); }};
}

void do_alone(const Phase& phase);  // all shares

constexpr int most_threads = 1024;

// Phases, one after the other, and what is left of the present one. Each thread begins with the block of shares that
// is its own, for it may have in its cache what it did in the step before.
class Shares {
 public:
  Shares() : blocks(new Block[most_threads]) {}

  // Begins a phase with a block for each thread, and returns its number. All shares of the last one must be done.
  std::uint32_t begin(const Phase& phase, int threads);

  // Claims and does shares of a phase until none is left to be begun; of any other phase, none. True if it did the one
  // that was the last to end.
  bool work(std::uint32_t number, int thread);

  bool are_done() const { return left.load() == 0; }

 private:
  // The phase's number, the next share, and the end, in one word, so that a thread that comes late claims nothing of
  // another phase.
  struct alignas(64) Block {
    std::atomic<std::uint64_t> word{0};
  };

  std::unique_ptr<Block[]> blocks;
  Phase phase = {};
  std::atomic<int> threads{0};
  std::uint32_t number = 0;
  alignas(64) std::atomic<std::size_t> left{0};
};

}  // namespace fusedoptim
