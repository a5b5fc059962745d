#include "swap.hpp"

#include <algorithm>

namespace fusedoptim {

Swap::Swap(const std::vector<std::pair<py::object, py::object>>& pairs) : arrays(pairs) {
  for (const auto& [one, other] : arrays) {
    const Buffer first = buffer({"params"}, one, Access::write);
    buffers.emplace_back(first, buffer({"averages"}, other, Access::write, &first));
  }
}

static void refuse_moved(py::handle object, const Buffer& known, Access access) {
  const Buffer now = buffer(known.name, object, access);
  if (now.begin != known.begin || now.n != known.n) refuse("moved", known.name.str());
}

void Swap::exchange(Access access) {
  for (std::size_t k = 0; k < arrays.size(); ++k) {
    refuse_moved(arrays[k].first, buffers[k].first, access);
    refuse_moved(arrays[k].second, buffers[k].second, access);
  }
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
