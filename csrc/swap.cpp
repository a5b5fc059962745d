#include "swap.hpp"

#include <algorithm>

namespace fusedoptim {

Swap::Swap(const std::vector<std::pair<py::object, py::object>>& pairs) : arrays(pairs) {
  for (const auto& [one, other] : arrays) {
    const Buffer first = buffer({"params"}, one, Access::write);
    const Buffer second = buffer({"averages"}, other, Access::write, &first);
    buffers.emplace_back(first, second);
    known.emplace_back(first), known.emplace_back(second);
  }
}

void Swap::exchange(Access access) {
  for (const Known& each : known) each.check(access);
  for (const auto& [one, other] : buffers) std::swap_ranges(one.begin, one.end(), other.begin);
  is_there = !is_there;
}

void Swap::there() {
  if (!is_there) exchange(Access::write);
}

void Swap::back() {
  if (is_there) exchange(Access::read);  // also into arrays that have become read-only
}

}  // namespace fusedoptim
