// The kernels: a rule on arrays that the caller keeps.
#pragma once

#include <functional>
#include <string>

#include "arrays.hpp"
#include "isa.hpp"

namespace fusedoptim {

struct Arguments {
  py::handle arrays[3 + max_state];
  py::handle random;
  Settings settings;
};

void refuse_overlap(const Buffer& a, const Buffer& b);

// A tensor that a kernel is called for, and its arrays, checked.
struct Accepted {
  Buffer buffers[2 + max_state];  // w, the gradient, the state
  Axes axes;
  Span span;
};

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

  // What a call has given, an array by its place or its name; `take` is asked about names that the kernel has not.
  using Take = std::function<bool(const char* name, py::handle value)>;
  Arguments arguments(const py::args& args, const py::kwargs& kwargs, const Take& take = {}) const;

  // Checks the arrays, which the span is of; `settings` are its own from now on.
  void accept(Arguments& given, Accepted& tensor) const;

 private:
  bool set(Arguments& given, const char* name, py::handle value) const;
  void step_narrow(const py::handle* arrays, py::handle random, Settings& settings) const;
};

}  // namespace fusedoptim
