#include "swap.hpp"

#include <algorithm>

namespace fusedoptim {

Swap::Swap(const std::vector<std::pair<py::object, py::object>>& pairs) : arrays(pairs) {
  for (const auto& [one, other] : arrays) {
    const Buffer first = buffer({"params"}, one, Access::write);
    buffers.emplace_back(first, buffer({"averages"}, other, Access::write, &first));
  }
}

void Swap::exchange() {
  for (const auto& [one, other] : buffers) std::swap_ranges(one.begin, one.end(), other.begin);
  is_there = !is_there;
}

void Swap::there() {
  if (!is_there) exchange();
}

void Swap::back() {
  if (is_there) exchange();
}

}  // namespace fusedoptim
