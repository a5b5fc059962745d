#include "arrays.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>

namespace fusedoptim {

namespace {

using py::detail::array_proxy;
using py::detail::npy_api;

constexpr int layout = npy_api::NPY_ARRAY_C_CONTIGUOUS_ | npy_api::NPY_ARRAY_ALIGNED_;

bool is_plain_array(py::handle object) {
  if (Py_TYPE(object.ptr()) == npy_api::get().PyArray_Type_) return true;
  return py::isinstance<py::array>(object) &&
         !py::isinstance(object, py::module_::import("numpy.ma").attr("MaskedArray"));
}

// 0: float32, 1: float64, -1: any other, or in foreign byte order.
int dtype_index(PyObject* dtype) {
  static const py::handle known[] = {py::dtype::of<float>().release(), py::dtype::of<double>().release()};
  for (int i = 0; i < n_dtypes; ++i)
    if (dtype == known[i].ptr() || py::handle(dtype).equal(known[i])) return i;
  return -1;
}

using Proxy = py::detail::PyArray_Proxy;

// Whether the shape is that of the model with 1 for the axis that is so far from the end.
bool has_one_at(const Proxy* array, const Proxy* model, int from_end) {
  bool same = array->nd == model->nd;
  for (int axis = 0; same && axis < model->nd; ++axis)
    same = array->dimensions[axis] == (axis == model->nd - from_end ? 1 : model->dimensions[axis]);
  return same;
}

bool has_shape(py::handle object, py::handle like, Shape shape) {
  const auto *array = array_proxy(object.ptr()), *model = array_proxy(like.ptr());
  const auto *axes = array->dimensions, *first = model->dimensions, *last = first + model->nd;
  const bool vector = model->nd < 2;
  switch (shape) {
    case Shape::tensor: return array->nd == 0;
    case Shape::row: return array->nd == std::min(model->nd, 1) && std::equal(axes, axes + array->nd, first);
    case Shape::rows: return has_one_at(array, model, vector ? 0 : 1);
    case Shape::columns: return vector ? array->nd == 0 : has_one_at(array, model, 2);
    case Shape::axes:
      return array->nd == 1 && axes[0] == (model->nd == 0 ? 1 : std::accumulate(first, last, Py_ssize_t(0)));
    default: break;
  }
  const bool ring = shape == Shape::ring;
  return array->nd == model->nd + ring && (!ring || axes[0] > 0) && std::equal(first, last, axes + ring);
}

bool contains(Domain domain, double x) {
  switch (domain) {
    case Domain::real: return std::isfinite(x);
    case Domain::positive: return x > 0 && std::isfinite(x);
    case Domain::non_negative: return x >= 0 && std::isfinite(x);
    case Domain::unit: return x >= 0 && x < 1;
    case Domain::step: return x >= 1 && x == std::floor(x);
    case Domain::count: return x >= 1 && x == std::floor(x) && std::isfinite(x);
    case Domain::limit: return x > 0;
    case Domain::non_positive: return x <= 0 && std::isfinite(x);
    case Domain::choice: return x >= 0;
    case Domain::rows: break;
  }
  return false;
}

}  // namespace

Buffer buffer(Name name, py::handle object, Access access, const Buffer* like, Shape shape) {
  if (!is_plain_array(object)) refuse("not_an_array", name.str(), object);
  const auto* array = array_proxy(object.ptr());
  const int dtype = dtype_index(array->descr);
  if (dtype < 0) refuse("wrong_dtype", name.str(), object);
  if ((array->flags & layout) != layout) refuse("wrong_layout", name.str(), object, access == Access::write);
  if (access == Access::write && !(array->flags & npy_api::NPY_ARRAY_WRITEABLE_)) refuse("read_only", name.str());
  if (like && dtype != like->dtype) refuse("other_dtype", name.str(), object, like->name.str(), like->array);
  if (like && !has_shape(object, like->array, shape))
    refuse("other_shape", name.str(), object, like->name.str(), like->array, int(shape));
  std::size_t n = 1;
  for (int axis = 0; axis < array->nd; ++axis) n *= std::size_t(array->dimensions[axis]);
  return {name, object, array->data, n, dtype};
}

std::vector<std::size_t> axes_of(const Buffer& array) {
  const auto* proxy = array_proxy(array.array.ptr());
  return {proxy->dimensions, proxy->dimensions + proxy->nd};
}

std::size_t row_of(const Buffer& array) {
  const auto* proxy = array_proxy(array.array.ptr());
  return proxy->nd == 0 || proxy->dimensions[0] == 0 ? 1 : array.n / std::size_t(proxy->dimensions[0]);
}

bool has_rows_of(py::handle object, py::handle table, std::size_t n) {
  const auto *array = array_proxy(object.ptr()), *model = array_proxy(table.ptr());
  return model->nd > 0 && array->nd == model->nd && std::size_t(array->dimensions[0]) == n &&
         std::equal(model->dimensions + 1, model->dimensions + model->nd, array->dimensions + 1);
}

Indices indices(Name name, py::handle object) {
  if (!is_plain_array(object)) refuse("not_an_array", name.str(), object);
  const auto* array = array_proxy(object.ptr());
  const py::handle dtype = array->descr;
  const bool is_int64 = dtype.equal(py::dtype::of<std::int64_t>());
  if (!is_int64 && !dtype.equal(py::dtype::of<std::int32_t>())) refuse("wrong_index_dtype", name.str(), object);
  if (array->nd != 1) refuse("wrong_index_shape", name.str(), object);
  if ((array->flags & layout) != layout) refuse("wrong_layout", name.str(), object, false);
  return {array->data, std::size_t(array->dimensions[0]), is_int64};
}

double hyper_value(const Hyper& hyper, py::handle value) {
  const double x = PyFloat_AsDouble(value.ptr());
  const bool failed = x == -1 && PyErr_Occurred();
  if (failed) PyErr_Clear();
  if (failed || !contains(hyper.domain, x)) refuse("bad_hyper", hyper.name, value, int(hyper.domain));
  return x;
}

}  // namespace fusedoptim
