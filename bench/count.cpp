// Runs one kernel once, for bench/instructions.py to count its instructions: count <kernel> <elements>.
// Without arguments it prints the kernels.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "run.hpp"

int main(int argc, char** argv) {
  using namespace fusedoptim;
  if (!use_isa("avx2")) return 1;
  if (argc < 3) {
    for (const Rule& rule : active_isa().rules)
      if (rule.n_passes == 0) std::puts(rule.signature->name);  // no rule of matrices
    std::puts("full_adam\nsquare_sum");
    return 0;
  }
  const std::string name = argv[1];
  const auto n = std::size_t(std::atol(argv[2]));
  const bool full = name == "full_adam";
  constexpr std::size_t window = 4;
  const auto zeros = [&] { return std::calloc(window * n, sizeof(float)); };  // fresh pages: costs no instruction
  Settings settings;
  Span span = {{}, n, 0, &settings};
  for (void*& array : span.arrays) array = zeros();
  if (full) {
    settings.clip_value = 0.5, settings.l2 = 0.5, settings.ema_weight = 0.5, settings.zero_grads = true;
    span.grad_sum = zeros(), span.ema = zeros();
  }
  const bool is_norm = name == "square_sum";
  const Rule& rule = rule_at(rule_index(full || is_norm ? "adam" : name));
  for (int k = 0; k < rule.n_hyper; ++k)
    settings.hyper[k] = rule.signature->hyper[k].domain == Domain::slots ? window : rule.signature->hyper[k].fallback;
  Work work;
  work.add(span);
  Run run(work, rule, 1, is_norm);
  if (is_norm) {
    for (std::size_t i = 0; i < n; i += chunk) static_cast<float*>(span.arrays[1])[i] = 1;  // else summed twice
    return run.square_sum() < 0;
  }
  run.update();
  return 0;
}
