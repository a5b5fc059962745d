// The mean of gradients that lie apart.
#pragma once

#include "arrays.hpp"

namespace fusedoptim {

// out <- the sum of the arrays, in a balanced tree, over `count`. One of them may be `out` itself; or all are of the
// same 16 bits.
void write_mean(const py::object& out, const std::vector<py::object>& arrays, double count, int num_threads);

}  // namespace fusedoptim
