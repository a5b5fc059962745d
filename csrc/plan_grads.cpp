// What a plan takes as gradients.
#include <algorithm>
#include <stdexcept>

#include "plan.hpp"

namespace fusedoptim {

namespace {

// A module that is imported anew has another.
std::vector<PyTypeObject*>& row_grad_types() {
  static auto& types = *new std::vector<PyTypeObject*>;
  return types;
}

}  // namespace

void add_row_grad_type(const py::type& type) {
  row_grad_types().push_back(reinterpret_cast<PyTypeObject*>(py::type(type).release().ptr()));
}

bool is_row_grad(py::handle grad) {
  const auto& types = row_grad_types();
  PyTypeObject* const own = Py_TYPE(grad.ptr());
  return own != py::detail::npy_api::get().PyArray_Type_ &&
         std::any_of(types.begin(), types.end(), [&](PyTypeObject* type) { return PyType_IsSubtype(own, type); });
}

void Plan::refuse_overlap(const Buffer& g) {
  if (free_begin <= g.begin && g.end() <= free_end) return;
  // Sorted and apart from each other, so their ends are sorted too.
  const auto first = std::upper_bound(written.begin(), written.end(), g.begin,
                                      [](const char* begin, const Buffer& b) { return begin < b.end(); });
  if (first != written.end() && first->begin < g.end()) refuse("overlap", g.name.str(), first->name.str());
  free_begin = first == written.begin() ? nullptr : std::prev(first)->end();
  free_end = first == written.end() ? g.end() : first->begin;
}

// A gradient that is set to zero must not be one that is still to be read.
void Plan::refuse_shared() {
  std::vector<Buffer> grads;
  for (const Tensor& tensor : tensors) {
    if (tensor.frozen) continue;
    grads.push_back(tensor.w);
    grads.back().name.argument = "grads";
    grads.back().begin = accepted[tensor.place].begin, grads.back().storage = accepted[tensor.place].storage;
  }
  sort_apart(grads);
}

void Plan::accept_array(Tensor& tensor, py::handle grad, bool zeroed) {
  const Buffer& w = tensor.w;
  if (tensor.axes.empty()) {  // a mean, say, of which NumPy makes a number
    tensor.number = zeroed ? py::object() : array_of_number(grad, w);
    if (tensor.number) grad = tensor.number;
  }
  const Access access = zeroed ? Access::write : Access::read;
  const Name name = {"grads", w.name.path};
  const Buffer g = takes_narrow ? buffer_of_any_width(name, grad, access, &w) : buffer(name, grad, access, &w);
  check_width(g, w);
  // An address that was taken before has been checked.
  if (span_of(tensor).arrays[1] != g.begin && g.n > 0) refuse_overlap(g);
  accepted[tensor.place] = {g.begin, g.storage};
}

// Rows that come twice are added up in float32.
void Plan::Touched::load(const Buffer& g) {
  loaded.resize(g.n);
  load_numbers(g, loaded.data());
  grad.values = reinterpret_cast<char*>(loaded.data()), grad.item = sizeof(float);
}

void Plan::accept_rows(Touched& touched, bool zeroed) {
  const Tensor& tensor = *touched.tensor;
  const Span& span = span_of(tensor);
  const std::string path = tensor.w.name.path, rows_path = path + ".rows", values_path = path + ".values";
  const auto refuse_with = [&](bool given, const char* what) {
    if (given) refuse("row_grad_with", "grads" + path, what);
  };
  if (!can_leave_out_rows(rule())) refuse("needs_all_rows", "grads" + path, rule().signature->name);
  refuse_with(zeroed, "zero_grads or bind()");
  refuse_with(span.grad_sum != nullptr, "accumulate");
  refuse_with(span.ema != nullptr, "ema");
  refuse_with(span.settings->l2 != 0, "the L2 penalty weight_decay");
  refuse_with(has_blocks(tensor.narrow), "a state of 8 bits, which lies in blocks");
  const Name name = {"grads", values_path.c_str()};
  const Buffer g = takes_narrow ? buffer_of_any_width(name, touched.values, Access::read)
                                : buffer(name, touched.values, Access::read);
  check_width(g, tensor.w);
  touched.grad = row_grad({"grads", rows_path.c_str()}, touched.rows, g, tensor.w);
  if (g.n > 0) refuse_overlap(g);
  if (g.storage != Storage::native) touched.load(g);
  accepted[tensor.place] = {g.begin, Storage::native};
}

// The gradient of each tensor, also of the frozen ones, at which nobody looks; None stays.
py::object Plan::leaves_of(const py::object& grads) const {
  if (grads.is_none()) return grads;
  if (py::object leaves = plain_leaves(skeleton, grads, tensors.size())) return leaves;
  return py::module_::import("fusedoptim.core.tree").attr("leaves")(skeleton, grads, "grads");
}

// The gradients that are of some rows, in the order of the tensors. Code of the caller's may run here: before any
// check.
std::vector<Plan::Touched> Plan::touched_by(const py::object& grads) const {
  std::vector<Touched> touched;
  if (grads.is_none()) return touched;
  if (py::len(grads) != tensors.size()) throw std::invalid_argument("as many gradients as tensors");
  for (std::size_t i = 0; i < tensors.size(); ++i)
    if (const py::handle grad = PyList_GET_ITEM(grads.ptr(), Py_ssize_t(i)); is_row_grad(grad) && !tensors[i].frozen)
      touched.push_back({&tensors[i], grad.attr("rows"), grad.attr("values"), {}});
  return touched;
}

// Checks everything before it takes anything. Nests may run code of their classes, so arrays come after all of them.
void Plan::accept_grads(const py::object& grads, std::vector<Touched>& touched, bool zeroed) {
  if (grads.is_none()) check_bound_nest();
  check();
  if (grads.is_none()) return bound_arrays.check();
  auto next = touched.begin();
  Py_ssize_t i = 0;
  for (Tensor& tensor : tensors) {
    const py::handle grad = PyList_GET_ITEM(grads.ptr(), i++);
    if (tensor.frozen) continue;
    if (next != touched.end() && next->tensor == &tensor)
      accept_rows(*next++, zeroed);
    else
      accept_array(tensor, grad, zeroed);
  }
  if (zeroed) refuse_shared();
  take_gradients();
  unbind();
}

// From now on the gradients are what was accepted.
void Plan::take_gradients() {
  for (std::size_t k = 0; k < accepted.size(); ++k) work.spans[k].arrays[1] = accepted[k].begin;
  const bool had_narrow = has_narrow;
  has_narrow =
      std::any_of(accepted.begin(), accepted.end(), [](const Gradient& g) { return g.storage != Storage::native; });
  if (!has_narrow && !had_narrow) return;  // the usual case, without a look at the tensors
  for (Tensor& tensor : tensors)
    if (!tensor.frozen) take_gradient(tensor);
}

void Plan::take_gradient(Tensor& tensor) {
  const auto [begin, storage] = accepted[tensor.place];
  Span& span = span_of(tensor);
  span.arrays[1] = begin;
  tensor.narrow.storage[1] = storage;
  span.narrow = storage == Storage::native && !tensor.is_narrow() ? nullptr : &tensor.narrow;
}

void Plan::unbind() {
  if (bound.is_none()) return;
  bound = py::none(), bound_nest = Nest(), bound_arrays = {};
}

void Plan::check_bound_nest() const {
  if (bound.is_none()) refuse("not_bound");
  bound_nest.check();
}

// Of some tensors the rows that are touched, of the others all.
Work Plan::work_of(const std::vector<Touched>& touched) {
  Work expanded;
  for (int dtype = 0; dtype < n_dtypes; ++dtype) {
    auto next = touched.begin();
    for (const Tensor& tensor : tensors) {
      if (tensor.frozen) continue;
      const bool is_next = next != touched.end() && next->tensor == &tensor;
      if (tensor.w.dtype == dtype && is_next) add_rows(expanded, span_of(tensor), rule(), next->grad);
      if (tensor.w.dtype == dtype && !is_next) expanded.add(span_of(tensor));
      next += is_next;
    }
  }
  return expanded;
}

void Plan::bind(const py::object& given, const py::list& containers) {
  const py::object grads = leaves_of(given);
  const Nest nest(containers);
  std::vector<Touched> touched = touched_by(grads);
  accept_grads(grads, touched, true);
  bound_arrays = known_grads(grads, touched);
  bound_nest = nest;
  bound = grads;
}

// What the gradients are now, for a step that calls the caller's code in its middle.
KnownArrays Plan::known_grads(const py::object& grads, const std::vector<Touched>& touched) const {
  if (grads.is_none()) return bound_arrays;
  KnownArrays known;
  auto next = touched.begin();
  for (const Tensor& tensor : tensors) {
    if (tensor.frozen) continue;
    const bool is_next = next != touched.end() && next->tensor == &tensor;
    py::handle array = PyList_GET_ITEM(grads.ptr(), Py_ssize_t(tensor.index));
    if (is_next) array = next->values;
    if (tensor.number) array = tensor.number;
    known.add({"grads", tensor.w.name.path}, array);
    if (is_next) known.add({"grads", tensor.w.name.path}, next++->rows);
  }
  return known;
}

}  // namespace fusedoptim
