#include "tensors.hpp"

namespace fusedoptim {

namespace {

// Of dlpack.h, version 1, what is needed here.
constexpr std::uint32_t major_version = 1;
constexpr int on_cpu = 1, of_float = 2, of_bfloat = 4;

struct DLTensor {
  void* data;
  std::int32_t device_type, device_id, n_axes;
  std::uint8_t code, bits;
  std::uint16_t lanes;
  std::int64_t *shape, *strides;
  std::uint64_t byte_offset;
};

struct Exchange {
  std::uint32_t major, minor;
  const Exchange* before;
  void *allocator, *managed_from_object, *managed_to_object;
  int (*tensor_from_object)(void* object, DLTensor* tensor);
};

const Exchange* exchange = nullptr;

py::handle& dtype_codes() {
  static py::handle codes;
  return codes;
}

bool set_numbers(int code, int bits, TensorMemory& memory) {
  memory.dtype = bits == 64 ? 1 : 0;
  memory.storage = bits != 16 ? Storage::native : code == of_bfloat ? Storage::bfloat16 : Storage::float16;
  return (code == of_float && (bits == 16 || bits == 32 || bits == 64)) || (code == of_bfloat && bits == 16);
}

bool look_by_exchange(py::handle object, TensorMemory& memory) {
  DLTensor tensor;
  if (exchange->tensor_from_object(object.ptr(), &tensor) != 0) {
    PyErr_Clear();
    return false;
  }
  memory.begin = static_cast<char*>(tensor.data) + tensor.byte_offset;
  memory.n_axes = tensor.n_axes, memory.shape = tensor.shape, memory.strides = tensor.strides;
  return tensor.device_type == on_cpu && tensor.lanes == 1 && set_numbers(tensor.code, tensor.bits, memory);
}

bool look_by_attributes(py::handle object, TensorMemory& memory) try {
  const py::object codes = dtype_codes().attr("get")(object.attr("dtype"));
  if (codes.is_none() || !object.attr("is_cpu").cast<bool>()) return false;
  const auto [code, bits] = codes.cast<std::pair<int, int>>();
  const py::tuple shape = object.attr("shape"), strides = object.attr("stride")();
  for (const py::tuple& each : {shape, strides})
    for (const py::handle axis : each) memory.axes.push_back(axis.cast<std::int64_t>());
  memory.begin = reinterpret_cast<char*>(object.attr("data_ptr")().cast<std::uintptr_t>());
  memory.n_axes = int(shape.size());
  memory.shape = memory.axes.data(), memory.strides = memory.shape + memory.n_axes;
  return set_numbers(code, bits, memory);
} catch (const py::error_already_set&) {  // it has no memory, as one that is sparse
  return false;
}

}  // namespace

void know_torch(const py::object& capsule, const py::dict& codes) {
  const Exchange* found = nullptr;
  if (!capsule.is_none())
    found = static_cast<const Exchange*>(PyCapsule_GetPointer(capsule.ptr(), "dlpack_exchange_api"));
  if (PyErr_Occurred()) throw py::error_already_set();
  while (found != nullptr && found->major != major_version) found = found->before;
  exchange = found != nullptr && found->tensor_from_object != nullptr ? found : nullptr;
  dtype_codes() = py::dict(codes).release();
}

std::size_t TensorMemory::n() const {
  std::size_t n = 1;
  for (int k = 0; k < n_axes; ++k) n *= std::size_t(shape[k]);
  return n;
}

bool look_at(py::handle tensor, TensorMemory& memory) {
  return exchange != nullptr ? look_by_exchange(tensor, memory) : look_by_attributes(tensor, memory);
}

}  // namespace fusedoptim
