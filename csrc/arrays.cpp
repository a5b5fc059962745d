#include "arrays.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <numeric>
#include <optional>

namespace fusedoptim {

namespace {

using py::detail::array_proxy;
using py::detail::npy_api;
using Proxy = py::detail::PyArray_Proxy;

constexpr int layout = npy_api::NPY_ARRAY_C_CONTIGUOUS_ | npy_api::NPY_ARRAY_ALIGNED_;

bool is_array(py::handle object) { return Py_TYPE(object.ptr()) == npy_api::get().PyArray_Type_; }

// Asks the type itself: `isinstance` may run code of the object's.
bool is_plain_array(py::handle object) {
  if (is_array(object)) return true;
  if (!PyType_IsSubtype(Py_TYPE(object.ptr()), npy_api::get().PyArray_Type_)) return false;
  const py::object masked = py::module_::import("numpy.ma").attr("MaskedArray");
  return !PyType_IsSubtype(Py_TYPE(object.ptr()), reinterpret_cast<PyTypeObject*>(masked.ptr()));
}

// 0: float32, 1: float64, -1: any other, or in foreign byte order.
int dtype_index(PyObject* dtype) {
  static const py::handle known[] = {py::dtype::of<float>().release(), py::dtype::of<double>().release()};
  for (int i = 0; i < n_dtypes; ++i)
    if (dtype == known[i].ptr() || py::handle(dtype).equal(known[i])) return i;
  return -1;
}

Axes dimensions(const Proxy* array) { return {array->dimensions, array->dimensions + array->nd}; }

py::tuple tuple_of(const Axes& axes) {
  py::tuple shape(axes.size());
  for (std::size_t axis = 0; axis < axes.size(); ++axis) shape[axis] = axes[axis];
  return shape;
}

// In the order of `Shape`.
constexpr const char* shape_names[] = {"weight", "ring", "tensor", "row", "lines", "columns", "axes", "scratch"};

Axes shape_for(Shape shape, const Axes& weight, std::size_t slots) {
  const bool vector = weight.size() < 2;
  Axes axes = weight;
  switch (shape) {
    case Shape::weight:
    case Shape::scratch: return axes;
    case Shape::ring: axes.insert(axes.begin(), slots); return axes;
    case Shape::tensor: return {};
    case Shape::row: axes.resize(std::min<std::size_t>(axes.size(), 1)); return axes;
    case Shape::lines:
      if (!vector) axes.back() = 1;
      return axes;
    case Shape::columns:
      if (vector) return {};
      axes[axes.size() - 2] = 1;
      return axes;
    case Shape::axes: return {weight.empty() ? 1 : std::accumulate(weight.begin(), weight.end(), std::size_t(0))};
  }
  return axes;
}

bool has_shape(py::handle object, py::handle like, Shape shape) {
  const auto *array = array_proxy(object.ptr()), *model = array_proxy(like.ptr());
  if (shape == Shape::weight) {  // without a detour: every gradient comes by here
    if (array->nd != model->nd) return false;
    for (int axis = 0; axis < array->nd; ++axis)
      if (array->dimensions[axis] != model->dimensions[axis]) return false;
    return true;
  }
  const std::size_t slots = shape == Shape::ring && array->nd > 0 ? std::size_t(array->dimensions[0]) : 1;
  return slots > 0 && dimensions(array) == shape_for(shape, dimensions(model), slots);
}

// In the order of `Domain`.
struct Words {
  const char *name, *words;
};
constexpr Words domains[] = {
    {"real", "a finite number"},
    {"positive", "a finite number > 0"},
    {"non_negative", "a finite number >= 0"},
    {"unit", "a number in [0, 1)"},
    {"step", "a whole number >= 1, or inf"},
    {"count", "a whole number >= 1"},
    {"limit", "a number > 0, or inf"},
    {"non_positive", "a finite number <= 0"},
    {"choice", "a number >= 0, or inf"},
    {"slots", "left out, for it is the number of slots of the ring"},
};

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
    case Domain::slots: break;
  }
  return false;
}

// Nothing for what says that it is no number; what its __float__ raises besides, as an interrupt, is raised.
std::optional<double> double_of(py::handle value) {
  const double x = PyFloat_AsDouble(value.ptr());
  if (x != -1 || !PyErr_Occurred()) return x;
  for (PyObject* const is_none : {PyExc_TypeError, PyExc_ValueError, PyExc_OverflowError})
    if (PyErr_ExceptionMatches(is_none)) {
      PyErr_Clear();
      return std::nullopt;
    }
  throw py::error_already_set();
}

template <class T>
py::object array_without_axes(double x) {
  const T value = T(x);
  return py::array_t<T>(std::vector<py::ssize_t>(), &value);
}

// bfloat16 is no dtype of NumPy's own: it is that of ml_dtypes, or 16 bits in a field of this name.
Storage named_storage(py::handle given) {
  if (given.equal(py::dtype("float16"))) return Storage::float16;
  const py::object name = given.attr("name"), fields = given.attr("names");
  const bool is_bfloat16 = name.equal(py::str("bfloat16")) || fields.equal(py::make_tuple("bfloat16"));
  return is_bfloat16 && given.attr("itemsize").cast<int>() == 2 ? Storage::bfloat16 : Storage::native;
}

// To ask for its name takes a microsecond, and there are few of them: each is asked once.
Storage storage_of(PyObject* dtype) {
  constexpr std::size_t most = 16;  // a program may make ever new ones
  static auto& known = *new std::vector<std::pair<py::object, Storage>>;
  for (const auto& [each, storage] : known)
    if (each.ptr() == dtype) return storage;
  const Storage storage = named_storage(dtype);
  if (known.size() < most) known.emplace_back(py::reinterpret_borrow<py::object>(dtype), storage);
  return storage;
}

Buffer accepted(Name name, py::handle object, Access access, const Buffer* like, Shape shape, int dtype,
                Storage storage) {
  const auto* array = array_proxy(object.ptr());
  if ((array->flags & layout) != layout) refuse("wrong_layout", name.str(), object, access == Access::write);
  if (access == Access::write && !(array->flags & npy_api::NPY_ARRAY_WRITEABLE_)) refuse("read_only", name.str());
  if (like && !has_shape(object, like->array, shape))
    refuse("other_shape", name.str(), object, like->name.str(), like->array, shape_name(shape));
  std::size_t n = 1;
  for (int axis = 0; axis < array->nd; ++axis) n *= std::size_t(array->dimensions[axis]);
  return {name, object, array->data, n, dtype, storage};
}

}  // namespace

Buffer buffer(Name name, py::handle object, Access access, const Buffer* like, Shape shape) {
  if (!is_plain_array(object)) refuse("not_an_array", name.str(), object, access == Access::write);
  const int dtype = dtype_index(array_proxy(object.ptr())->descr);
  if (dtype < 0) refuse("wrong_dtype", name.str(), object);
  if (like && dtype != like->dtype) refuse("other_dtype", name.str(), object, like->name.str(), like->array);
  return accepted(name, object, access, like, shape, dtype, Storage::native);
}

Buffer buffer_of_any_width(Name name, py::handle object, Access access, const Buffer* like) {
  const int dtype = is_array(object) ? dtype_index(array_proxy(object.ptr())->descr) : -1;
  if (dtype >= 0 && (like == nullptr || dtype == like->dtype))  // without a detour
    return accepted(name, object, access, like, Shape::weight, dtype, Storage::native);
  const Storage storage = is_plain_array(object) ? storage_of(array_proxy(object.ptr())->descr) : Storage::native;
  if (storage == Storage::native || (like && like->dtype != 0)) return buffer(name, object, access, like);
  return accepted(name, object, access, like, Shape::weight, 0, storage);
}

bool is_wide(py::handle object) { return is_array(object) && dtype_index(array_proxy(object.ptr())->descr) >= 0; }

Buffer companion(Name name, py::handle object, const char* dtype, const Axes& shape) {
  if (!is_plain_array(object)) refuse("not_an_array", name.str(), object, true);
  const auto* array = array_proxy(object.ptr());
  if (!py::handle(array->descr).equal(py::dtype(dtype)) || dimensions(array) != shape)
    refuse("wrong_companion", name.str(), object, dtype, tuple_of(shape));
  const Buffer buffer = accepted(name, object, Access::write, nullptr, Shape::weight, 0, Storage::e4m3);
  return {name, object, buffer.begin, buffer.n * std::size_t(py::dtype(dtype).itemsize()), 0, buffer.storage};
}

Axes axes_of(const Buffer& array) { return dimensions(array_proxy(array.array.ptr())); }

void sort_apart(std::vector<Buffer>& buffers) {
  buffers.erase(std::remove_if(buffers.begin(), buffers.end(), [](const Buffer& b) { return b.n == 0; }),
                buffers.end());
  std::sort(buffers.begin(), buffers.end(), [](const Buffer& a, const Buffer& b) { return a.begin < b.begin; });
  for (std::size_t i = 1; i < buffers.size(); ++i)
    if (buffers[i].begin < buffers[i - 1].end()) refuse("overlap", buffers[i].name.str(), buffers[i - 1].name.str());
}

constexpr int kept = layout | npy_api::NPY_ARRAY_WRITEABLE_;

void KnownArrays::add(Name name, py::handle array) {
  const auto* now = array_proxy(array.ptr());
  shapes.push_back(dimensions(now));
  names.push_back(name);
  dtypes.push_back(py::reinterpret_borrow<py::object>(now->descr));
  Entry entry = {array, now->data, now->descr, now->flags & kept, kept, now->nd, {}};
  std::copy_n(now->dimensions, std::min(now->nd, 2), entry.axes);
  entries.push_back(entry);
}

void KnownArrays::set_access(std::size_t k, Access access) {
  entries[k].flags = kept;
  entries[k].asked = access == Access::write ? kept : layout;
}

bool KnownArrays::is_same(std::size_t k) const {
  const Entry& was = entries[k];
  const auto* now = array_proxy(was.array.ptr());
  if (now->data != was.data || now->descr != was.dtype || ((now->flags ^ was.flags) & was.asked) != 0) return false;
  if (now->nd != was.n_axes) return false;
  if (was.n_axes > 0 && now->dimensions[0] != was.axes[0]) return false;  // without a call of memcmp
  if (was.n_axes > 1 && now->dimensions[1] != was.axes[1]) return false;
  return was.n_axes <= 2 || std::equal(shapes[k].begin() + 2, shapes[k].end(), now->dimensions + 2);
}

void KnownArrays::check(std::size_t first, std::size_t end) const {
  for (std::size_t k = first; k < end; ++k) {
    if (is_same(k)) continue;
    const Entry& was = entries[k];
    refuse_if("moved", names[k].str(), was.array, std::uintptr_t(was.data), dtypes[k], tuple_of(shapes[k]),
              was.asked == kept);
  }
}

const char* shape_name(Shape shape) { return shape_names[int(shape)]; }

Axes state_shape(const std::string& name, const Axes& weight, std::size_t slots) {
  const auto* found = std::find(std::begin(shape_names), std::end(shape_names), name);
  if (found == std::end(shape_names)) throw py::value_error("no state has the shape " + name);
  return shape_for(Shape(found - shape_names), weight, slots);
}

Span span_of(const Buffer& w) {
  Span span = {{w.begin}, w.n, w.dtype, nullptr};
  const auto* proxy = array_proxy(w.array.ptr());
  if (proxy->nd > 0 && w.n > 0) span.row = w.n / std::size_t(proxy->dimensions[0]);
  return span;
}

bool has_rows_of(py::handle object, py::handle table, std::size_t n) {
  const auto *array = array_proxy(object.ptr()), *model = array_proxy(table.ptr());
  return model->nd > 0 && array->nd == model->nd && std::size_t(array->dimensions[0]) == n &&
         std::equal(model->dimensions + 1, model->dimensions + model->nd, array->dimensions + 1);
}

Indices indices(Name name, py::handle object) {
  if (!is_plain_array(object)) refuse("not_an_array", name.str(), object, false);
  const auto* array = array_proxy(object.ptr());
  const py::handle dtype = array->descr;
  const bool is_int64 = dtype.equal(py::dtype::of<std::int64_t>());
  if (!is_int64 && !dtype.equal(py::dtype::of<std::int32_t>())) refuse("wrong_index_dtype", name.str(), object);
  if (array->nd != 1) refuse("wrong_index_shape", name.str(), object);
  if ((array->flags & layout) != layout) refuse("wrong_layout", name.str(), object, false);
  return {array->data, std::size_t(array->dimensions[0]), is_int64};
}

py::object array_of_number(py::handle object, const Buffer& like) {
  PyTypeObject* const type = Py_TYPE(object.ptr());
  if (type == npy_api::get().PyArray_Type_ || PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE)) return {};
  const auto numpy = py::module_::import("numpy");
  if (py::isinstance(object, numpy.attr("generic"))) return numpy.attr("asarray")(object);
  if (PyBool_Check(object.ptr()) || !(PyFloat_Check(object.ptr()) || PyLong_Check(object.ptr()))) return {};
  const std::optional<double> x = double_of(object);
  if (!x) return {};
  return like.dtype == 0 ? array_without_axes<float>(*x) : array_without_axes<double>(*x);
}

double number(const char* name, py::handle given, Domain domain, const char* besides) {
  const auto value = py::reinterpret_borrow<py::object>(given);  // its own __float__ may replace it where it is kept
  const std::optional<double> x = double_of(value);
  if (!x || !contains(domain, *x)) refuse("bad_number", name, value, std::string(domains[int(domain)].words) + besides);
  return *x;
}

Domain domain_of(const std::string& name) {
  const auto* found =
      std::find_if(std::begin(domains), std::end(domains), [&](const Words& w) { return name == w.name; });
  if (found == std::end(domains)) throw py::value_error("no domain is called " + name);
  return Domain(found - domains);
}

py::dict domain_words() {
  py::dict words;
  for (const Words& domain : domains) words[domain.name] = domain.words;
  return words;
}

}  // namespace fusedoptim
