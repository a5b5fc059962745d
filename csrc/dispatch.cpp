#include "dispatch.hpp"

#include <atomic>
#include <stdexcept>

namespace fusedoptim {

extern const Table table_baseline;
#if defined(__x86_64__)
extern const Table table_avx2;
extern const Table table_avx512;
#endif

namespace {

std::vector<const Table*> detect() {
  std::vector<const Table*> tables = {&table_baseline};
#if defined(__x86_64__)
  // These builtins also ask whether the operating system saves the wide registers.
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2")) tables.push_back(&table_avx2);
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq"))
    tables.push_back(&table_avx512);
#endif
  return tables;
}

std::atomic<const Table*>& active() {
  static std::atomic<const Table*> table{available_tables().back()};
  return table;
}

}  // namespace

const std::vector<const Table*>& available_tables() {
  static const std::vector<const Table*> tables = detect();
  return tables;
}

const Table& active_table() { return *active(); }

bool use_isa(const std::string& name) {
  for (const Table* table : available_tables())
    if (name == table->isa) {
      active() = table;
      return true;
    }
  return false;
}

std::size_t row_index(const std::string& name) {
  const Table& table = active_table();
  for (std::size_t i = 0; i < table.n_rows; ++i)
    if (name == table.rows[i].signature->name) return i;
  throw std::out_of_range("no rule is called " + name);
}

}  // namespace fusedoptim
