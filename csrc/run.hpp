// A step over all tensors: its phases one after the other, each of them shared out among threads.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "cut.hpp"
#include "isa.hpp"
#include "threads.hpp"

namespace fusedoptim {

// Of slices: is given the sums over the chunks of this process, and returns those of all processes, in the order of the
// whole tensors.
using Exchange = std::function<std::vector<Sums>(const std::vector<Sums>&)>;

// The instruction set stays the same from one phase to the next. What memory it needs is taken at the beginning, before
// anything changes.
class Run {
 public:
  // Adds up the gradients that come in parts.
  Run(Work& work, const Rule& rule, int requested_threads, bool needs_norm = false, Exchange exchange = nullptr);

  // The sum of the squares of all gradients, for a run that needs the norm.
  double square_sum();

  // Updates all tensors, their gradients multiplied by `clip`.
  void update(double clip = 1);

 private:
  void add_up(std::size_t k);
  template <class Measure>
  void each_chunk(std::size_t k, const Measure& measure);
  void update_share(std::size_t k, int thread, double clip);
  void pass_share(int p, std::size_t k, int thread, double clip);
  void close_share(int p, std::size_t k);
  const std::vector<Sums>& sums_of_all();
  void settle();
  void* scratch_of(int thread) const { return scratch ? scratch.get() + std::size_t(thread) * chunk : nullptr; }
  template <class Each>
  void in_shares(const Each& each) const;

  Work& work;
  const Rule& rule;
  const Isa& isa;
  const Team team;
  const Exchange exchange;
  std::vector<Sums> sums, exchanged;        // of each chunk
  const std::unique_ptr<double[]> scratch;  // a chunk for each thread
  Notebook notes;
};

}  // namespace fusedoptim
