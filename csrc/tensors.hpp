// Tensors of torch where they lie in memory. Nothing of torch is linked: it says where by the C exchange API of DLPack,
// or before 2.10, which has none, by attributes of Python.
#pragma once

#include <cstdint>
#include <vector>

#include "arrays.hpp"

namespace fusedoptim {

// Where torch has its exchange API: a capsule of DLPack, or None. `codes` are those of DLPack for its dtypes, as
// {dtype: (code, bits)}.
void know_torch(const py::object& exchange, const py::dict& codes);

// A dense tensor of the CPU. Its axes are borrowed from it, or are its own.
struct TensorMemory {
  char* begin = nullptr;
  int dtype = -1;  // that a step computes in
  Storage storage = Storage::native;
  int n_axes = 0;
  const std::int64_t *shape = nullptr, *strides = nullptr;
  std::vector<std::int64_t> axes{};

  std::size_t n() const;
};

// False for what is no such tensor, or of numbers that no step takes.
bool look_at(py::handle tensor, TensorMemory& memory);

}  // namespace fusedoptim
