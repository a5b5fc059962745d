// Which instruction set runs: the kernel tables this CPU can use, and the one chosen.
#pragma once

#include <string>
#include <vector>

#include "kernel.hpp"

namespace fusedoptim {

const std::vector<const Table*>& available_tables();  // ascending
const Table& active_table();
bool use_isa(const std::string& name);           // false: this CPU has no such level
std::size_t row_index(const std::string& name);  // the same in every table

}  // namespace fusedoptim
