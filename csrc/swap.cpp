#include "swap.hpp"

#include <algorithm>

namespace fusedoptim {

Swap::Swap(const std::vector<std::pair<py::object, py::object>>& pairs) : arrays(pairs) {
  for (const auto& [one, other] : arrays) {
    const Buffer first = buffer_of_any_width({"params"}, one, Access::write);
    const Buffer second = buffer_of_any_width({"averages"}, other, Access::write, &first);
    buffers.emplace_back(first, second);
    known.add(first), known.add(second);
  }
}

void Swap::exchange(Access access) {
  for (std::size_t k = 0; k < known.size(); ++k) known.set_access(k, access);
  known.check();
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
