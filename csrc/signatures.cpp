// What the rules are called, keep and take: once for all instruction sets.
#include "rules.hpp"

namespace {

template <template <class> class... Rule>
constexpr fusedoptim::Signatures signatures_of(List<Rule...>) {
  return {{Rule<float>::signature...}};
}

}  // namespace

namespace fusedoptim {

const Signatures signatures = signatures_of(Rules());

}  // namespace fusedoptim
