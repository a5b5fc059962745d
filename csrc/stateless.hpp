// The kernels: a rule on arrays that the caller keeps.
#pragma once

#include <string>

#include "arrays.hpp"
#include "isa.hpp"

namespace fusedoptim {

// What is called from Python: a rule on a tensor, kernel(w, g, *state, **hyper), or on the rows of one that a gradient
// touches, kernel(w, rows, g_rows, *state, **hyper).
struct Kernel {
  const Rule& rule;  // of the active instruction set
  bool by_rows;

  std::string name() const { return rule.signature->name + std::string(by_rows ? "_rows" : ""); }
  int n_before_state() const { return by_rows ? 3 : 2; }
  int n_arrays() const { return n_before_state() + rule.n_state; }
  const char* array_name(int k) const;

  // Whether its arrays may lie in fewer bits than it computes in.
  bool may_be_narrow() const;

  // All that it can be given by name.
  py::list keywords() const;

  // As pybind11 would write it, for help() and the type stubs.
  std::string signature() const;

  void operator()(const py::args& args, const py::kwargs& kwargs) const;

 private:
  void step_narrow(const py::handle* arrays, py::handle random, Settings& settings) const;
};

}  // namespace fusedoptim
