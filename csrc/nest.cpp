#include "nest.hpp"

namespace fusedoptim {

Nest::Nest(const py::list& given) {
  for (const py::handle each : given) {
    const auto [path, object, keys, children] = each.cast<std::tuple<py::str, py::object, py::list, py::list>>();
    containers.push_back({path, object, keys, children});
  }
}

void Nest::check() const {
  for (const Container& each : containers)
    if (!each.holds_them_in_order()) refuse_if("changed", each.path, each.object, each.keys, each.children);
}

int Nest::traverse(visitproc visit, void* arg) const {
  for (const Container& each : containers) {
    Py_VISIT(each.object.ptr());
    Py_VISIT(each.keys.ptr());
    Py_VISIT(each.children.ptr());
  }
  return 0;
}

// Compares addresses alone, for it comes before every step. What it does not see is looked at by name.
bool Nest::Container::holds_them_in_order() const {
  const Py_ssize_t n = PyList_GET_SIZE(children.ptr());
  const auto is_child = [&](Py_ssize_t k, PyObject* now) { return now == PyList_GET_ITEM(children.ptr(), k); };
  const auto is_key = [&](Py_ssize_t k, PyObject* now) { return now == PyList_GET_ITEM(keys.ptr(), k); };
  if (PyList_Check(object.ptr())) {
    if (PyList_GET_SIZE(object.ptr()) != n) return false;
    for (Py_ssize_t k = 0; k < n; ++k)
      if (!is_child(k, PyList_GET_ITEM(object.ptr(), k))) return false;
    return true;
  }
  if (!PyDict_Check(object.ptr())) return holds_them_as_attributes();
  if (PyDict_Size(object.ptr()) != n) return false;
  PyObject *key = nullptr, *value = nullptr;
  Py_ssize_t k = 0;
  for (Py_ssize_t at = 0; PyDict_Next(object.ptr(), &at, &key, &value); ++k)
    if (!is_key(k, key) || !is_child(k, value)) return false;
  return true;
}

bool Nest::Container::holds_them_as_attributes() const {
  for (std::size_t k = 0; k < keys.size(); ++k)
    if (!py::getattr(object, keys[k], py::none()).is(children[k])) return false;
  return true;
}

}  // namespace fusedoptim
