// The containers of a nest of arrays, and what they held when it was taken in.
#pragma once

#include <string>
#include <vector>

#include "arrays.hpp"

namespace fusedoptim {

// The leaves of a nest of this skeleton, in its order, where its containers are plain dicts, lists and tuples; null for
// any other, of which `tree.leaves` finds them or says what is wrong.
py::object plain_leaves(py::handle skeleton, py::handle nest, std::size_t n);

class Nest {
 public:
  Nest() = default;
  // Of each container (path, container, keys, children): children[k] lies under keys[k].
  explicit Nest(const py::list& containers);

  // Whether every container holds what it held, in that order.
  bool is_same() const;

  // Refuses where a container holds something else now.
  void check() const;

  // For the collector of garbage: a container may have the optimizer itself in one of its attributes.
  int traverse(visitproc visit, void* arg) const;

 private:
  struct Container {
    py::str path;
    py::object object;
    std::size_t first, n;  // of its children
  };
  struct Child {
    py::object key, object;
  };
  bool is_same(const Container& container) const;

  std::vector<Container> containers;
  std::vector<Child> children;  // of all, side by side, for they are looked at before every step
};

}  // namespace fusedoptim
