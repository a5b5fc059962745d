// The rules of a family as a part of the table: FUSEDOPTIM_FAMILY(name, rules...).
#pragma once
#include "loop.hpp"

namespace {

template <template <class> class... R>
struct RulesOf {
  static constexpr fusedoptim::Rule rules[] = {row_of<R>()...};
  static constexpr fusedoptim::Family family = {rules, sizeof...(R)};
};

}  // namespace

#define FUSEDOPTIM_FAMILY(name, ...)                \
  namespace fusedoptim::FUSEDOPTIM_ISA {            \
  extern const Family name;                         \
  const Family name = RulesOf<__VA_ARGS__>::family; \
  }
