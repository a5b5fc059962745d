// Runs one kernel once, for bench/instructions.py to count its instructions: count <kernel> <elements>.
// Without arguments it prints the kernels.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "kernel.hpp"

namespace fusedoptim {
extern const Table table_avx2;
}

int main(int argc, char** argv) {
  using namespace fusedoptim;
  const Table& table = table_avx2;
  if (argc < 3) {
    for (std::size_t i = 0; i < table.n_rows; ++i)
      if (table.rows[i].update[0] != nullptr) std::puts(table.rows[i].signature->name);  // no rule of matrices
    std::puts("full_adam\nsquare_sum");
    return 0;
  }
  const std::string name = argv[1];
  const auto n = std::size_t(std::atol(argv[2]));
  const bool full = name == "full_adam";
  constexpr std::size_t window = 4;
  const auto zeros = [&] { return std::calloc(window * n, sizeof(float)); };  // fresh pages: costs no instruction
  Settings settings;
  Span span = {{}, n, &settings};
  for (void*& array : span.arrays) array = zeros();
  if (full) {
    settings.clip_value = 0.5, settings.l2 = 0.5, settings.ema_decay = 0.5, settings.zero_grads = true;
    span.grad_sum = zeros(), span.ema = zeros();
  }
  if (name == "square_sum") return table.square_sum[0](span, 0, n).x[0] < 0;
  for (std::size_t i = 0; i < table.n_rows; ++i) {
    const Row& row = table.rows[i];
    if (row.signature->name != (full ? "adam" : name)) continue;
    for (int k = 0; k < row.n_hyper; ++k)
      settings.hyper[k] = row.signature->hyper[k].domain == Domain::rows ? window : row.signature->hyper[k].fallback;
    if (row.measure[0] != nullptr) {
      Sums sums;
      for (std::size_t at = 0; at < n; at += chunk) sums = row.measure[0](span, at, chunk);
      row.settle[0](span, sums);
    }
    row.update[0](&span, {0, n});
    return 0;
  }
  return 1;
}
