// A whole step of one tensor, whose arrays the caller keeps.
#pragma once

#include <optional>
#include <string>

#include "stateless.hpp"

namespace fusedoptim {

// Scale, clip, decay, rule, average and zero, of the arrays and keywords of the rule's kernel and those of an
// optimizer. Returns the norm of the gradient where it is clipped by that.
std::optional<double> whole_step(const std::string& rule, const py::args& args, const py::kwargs& kwargs);

}  // namespace fusedoptim
