#include "nest.hpp"

#include <algorithm>

namespace fusedoptim {

namespace {

bool is_plain_sequence(PyObject* nest) { return PyList_CheckExact(nest) || PyTuple_CheckExact(nest); }

bool gather(PyObject* skeleton, PyObject* nest, PyObject* leaves, Py_ssize_t& k);

// A key that is another object, or elsewhere, is looked up: its class may then run code of its own.
bool gather_dict(PyObject* skeleton, PyObject* nest, PyObject* leaves, Py_ssize_t& k) {
  if (PyDict_Size(nest) != PyDict_Size(skeleton)) return false;
  bool in_order = true;
  PyObject *key = nullptr, *shape = nullptr, *own_key = nullptr, *child = nullptr;
  for (Py_ssize_t at = 0, own_at = 0; PyDict_Next(skeleton, &at, &key, &shape);) {
    in_order = in_order && PyDict_Next(nest, &own_at, &own_key, &child) && own_key == key;
    if (!in_order) child = PyDict_GetItemWithError(nest, key);
    if (PyErr_Occurred()) throw py::error_already_set();
    if (child == nullptr || !gather(shape, child, leaves, k)) return false;
  }
  return true;
}

bool gather_sequence(PyObject* skeleton, PyObject* nest, PyObject* leaves, Py_ssize_t& k) {
  const Py_ssize_t n = PySequence_Fast_GET_SIZE(skeleton);
  if (PySequence_Fast_GET_SIZE(nest) != n) return false;
  for (Py_ssize_t i = 0; i < n; ++i) {
    if (i >= PySequence_Fast_GET_SIZE(nest)) return false;  // that code may have changed it
    if (!gather(PySequence_Fast_GET_ITEM(skeleton, i), PySequence_Fast_GET_ITEM(nest, i), leaves, k)) return false;
  }
  return true;
}

// Fills the list from its k-th place on.
bool gather(PyObject* skeleton, PyObject* nest, PyObject* leaves, Py_ssize_t& k) {
  if (skeleton == Py_None) {
    if (k == PyList_GET_SIZE(leaves)) return false;
    PyList_SET_ITEM(leaves, k++, Py_NewRef(nest));
    return true;
  }
  const auto held = py::reinterpret_borrow<py::object>(nest);
  if (PyDict_CheckExact(skeleton) && PyDict_CheckExact(nest)) return gather_dict(skeleton, nest, leaves, k);
  if (is_plain_sequence(skeleton) && is_plain_sequence(nest)) return gather_sequence(skeleton, nest, leaves, k);
  return false;
}

PyObject** items(py::handle list) { return reinterpret_cast<PyListObject*>(list.ptr())->ob_item; }

}  // namespace

py::object plain_leaves(py::handle skeleton, py::handle nest, std::size_t n) {
  py::list leaves(n);
  Py_ssize_t k = 0;
  if (!gather(skeleton.ptr(), nest.ptr(), leaves.ptr(), k) || k != Py_ssize_t(n)) return {};
  return leaves;
}

Nest::Nest(const py::list& given) {
  for (const py::handle each : given) {
    const auto [path, object, keys, objects] = each.cast<std::tuple<py::str, py::object, py::list, py::list>>();
    containers.push_back({path, object, children.size(), objects.size()});
    for (std::size_t k = 0; k < objects.size(); ++k) children.push_back({keys[k], objects[k]});
  }
}

bool Nest::is_same() const {
  return std::all_of(containers.begin(), containers.end(), [&](const Container& each) { return is_same(each); });
}

void Nest::check() const {
  for (const Container& each : containers) {
    if (is_same(each)) continue;
    py::list keys, objects;
    for (std::size_t k = each.first; k < each.first + each.n; ++k)
      keys.append(children[k].key), objects.append(children[k].object);
    refuse_if("changed", each.path, each.object, keys, objects);
  }
}

int Nest::traverse(visitproc visit, void* arg) const {
  for (const Container& each : containers) Py_VISIT(each.object.ptr());
  for (const Child& each : children) {
    Py_VISIT(each.key.ptr());
    Py_VISIT(each.object.ptr());
  }
  return 0;
}

// Compares addresses alone, for it comes before every step. What it does not see is looked at by name.
bool Nest::is_same(const Container& container) const {
  PyObject* const object = container.object.ptr();
  const auto n = Py_ssize_t(container.n);
  const Child* known = children.data() + container.first;
  const Child* const end = known + container.n;
  if (PyList_Check(object))
    return PyList_GET_SIZE(object) == n &&
           std::equal(known, end, items(object), [](const Child& k, PyObject* now) { return k.object.ptr() == now; });
  if (!PyDict_Check(object))
    return std::all_of(known, end, [&](const Child& each) {
      return py::getattr(container.object, each.key, py::none()).is(each.object);
    });
  if (PyDict_Size(object) != n) return false;
  PyObject *key = nullptr, *value = nullptr;
  for (Py_ssize_t at = 0; PyDict_Next(object, &at, &key, &value); ++known)
    if (key != known->key.ptr() || value != known->object.ptr()) return false;
  return true;
}

}  // namespace fusedoptim
