#include "isa.hpp"

#include <atomic>
#include <stdexcept>

namespace fusedoptim {

namespace baseline {
extern const Table table;
}
#if defined(__x86_64__)
namespace avx2 {
extern const Table table;
}
namespace avx512 {
extern const Table table;
}
#endif

namespace {

std::vector<Rule> rules_of(const Table& table) {
  std::vector<Rule> rules;
  for (int k = 0; k < table.n_units; ++k)
    rules.insert(rules.end(), table.units[k]->rules, table.units[k]->rules + table.units[k]->n);
  return rules;
}

Isa isa_of(const Table& table) {
  static const std::vector<Rule> signed_rules = rules_of(baseline::table);
  Isa isa = {table.isa, table.driver, table.formats, rules_of(table)};
  for (std::size_t k = 0; k < isa.rules.size(); ++k) isa.rules[k].signature = signed_rules[k].signature;
  return isa;
}

std::vector<Isa> detect() {
  std::vector<Isa> found = {isa_of(baseline::table)};
#if defined(__x86_64__)
  // These builtins also ask whether the operating system saves the wide registers.
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2")) found.push_back(isa_of(avx2::table));
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq"))
    found.push_back(isa_of(avx512::table));
#endif
  return found;
}

std::atomic<const Isa*>& active() {
  static std::atomic<const Isa*> isa{&available_isas().back()};
  return isa;
}

}  // namespace

const std::vector<Isa>& available_isas() {
  static const std::vector<Isa> isas = detect();
  return isas;
}

const Isa& active_isa() { return *active(); }

bool use_isa(const std::string& name) {
  for (const Isa& isa : available_isas())
    if (name == isa.name) {
      active() = &isa;
      return true;
    }
  return false;
}

std::size_t rule_index(const std::string& name) {
  const auto& rules = active_isa().rules;
  for (std::size_t i = 0; i < rules.size(); ++i)
    if (name == rules[i].signature->name) return i;
  throw std::out_of_range("no rule is called " + name);
}

}  // namespace fusedoptim
