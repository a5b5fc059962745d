// Rules that are compiled together, as a part of the table: FUSEDOPTIM_UNIT(name, rules...).
#pragma once
#include "loop.hpp"

namespace {

template <template <class> class... R>
struct RulesOf {
  static constexpr fusedoptim::Rule rules[] = {entry_of<R>()...};
  static constexpr fusedoptim::Unit unit = {rules, sizeof...(R)};
};

}  // namespace

#define FUSEDOPTIM_UNIT(name, ...)              \
  namespace fusedoptim::FUSEDOPTIM_ISA {        \
  extern const Unit name;                       \
  const Unit name = RulesOf<__VA_ARGS__>::unit; \
  }
