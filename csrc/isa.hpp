// Which instruction set runs: those this CPU can run, and the one chosen.
#pragma once

#include <string>
#include <vector>

#include "table.hpp"

namespace fusedoptim {

struct Isa {
  const char* name;
  const Driver* driver;     // of each dtype
  const Format* formats;    // of each storage
  std::vector<Rule> rules;  // those of all units, in the same order in each instruction set
};

const std::vector<Isa>& available_isas();  // ascending
const Isa& active_isa();
bool use_isa(const std::string& name);  // false: this CPU has no such one

std::size_t rule_index(const std::string& name);
inline const Rule& rule_at(std::size_t index) { return active_isa().rules[index]; }

}  // namespace fusedoptim
