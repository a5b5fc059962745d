// Two sets of arrays that change places, all at once: no signal is handled in between.
#pragma once

#include <utility>
#include <vector>

#include "arrays.hpp"

namespace fusedoptim {

class Swap {
 public:
  // Pairs of one dtype and shape. The objects are kept alive; that their memory is the same is checked at each
  // exchange.
  explicit Swap(const std::vector<std::pair<py::object, py::object>>& pairs);
  void there();
  void back();  // if they are there

 private:
  void exchange(Access access);

  std::vector<std::pair<py::object, py::object>> arrays;
  std::vector<std::pair<Buffer, Buffer>> buffers;
  KnownArrays known;
  bool is_there = false;
};

}  // namespace fusedoptim
