#include "plan.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace fusedoptim {

// Sorts buffers by their addresses, drops empty ones, and refuses any two that overlap.
static void sort_apart(std::vector<Buffer>& buffers) {
  buffers.erase(std::remove_if(buffers.begin(), buffers.end(), [](const Buffer& b) { return b.n == 0; }),
                buffers.end());
  std::sort(buffers.begin(), buffers.end(), [](const Buffer& a, const Buffer& b) { return a.begin < b.begin; });
  for (std::size_t i = 1; i < buffers.size(); ++i)
    if (buffers[i].begin < buffers[i - 1].end()) refuse("overlap", buffers[i].name.str(), buffers[i - 1].name.str());
}

void Plan::add(std::size_t group, const std::string& path, const std::vector<py::object>& arrays,
               const py::object& grad_sum, const py::object& ema) {
  tensors.push_back({path, arrays, {}, 0, {}});
  Tensor& tensor = tensors.back();
  const Buffer w = tensor.w = buffer({"params", tensor.path.c_str()}, arrays[0], Access::write);
  written.push_back(w);
  tensor.axes = axes_of(w);
  Span span = {{w.begin}, w.n, &settings[group], tensor.axes.data(), tensor.axes.size(), row_of(w)};
  const auto take = [&](const State& state, const py::object& array) {
    const Buffer b = buffer({state.name, tensor.path.c_str()}, array, Access::write, &w, state.shape);
    if (state.shape == Shape::ring) window = double(py::len(array));
    written.push_back(b);
    return b.begin;
  };
  for (std::size_t k = 1; k < arrays.size(); ++k) span.arrays[1 + k] = take(row().signature->state[k - 1], arrays[k]);
  if (!grad_sum.is_none()) span.grad_sum = take({"grad_sum"}, grad_sum);
  if (!ema.is_none()) span.ema = take({"ema"}, ema);
  tensor.arrays.push_back(grad_sum);
  tensor.arrays.push_back(ema);
  tensor.span = works[w.dtype].spans.size();
  works[w.dtype].add(span);
}

void Plan::finish() { sort_apart(written); }

void Plan::refuse_overlap(const Buffer& g) {
  // Sorted and apart from each other, so their ends are sorted too.
  const auto first = std::upper_bound(written.begin(), written.end(), g.begin,
                                      [](const char* begin, const Buffer& b) { return begin < b.end(); });
  if (first != written.end() && first->begin < g.end()) refuse("overlap", g.name.str(), first->name.str());
}

void Plan::take_array(Tensor& tensor, py::handle grad, bool zeroed) {
  const Buffer& w = tensor.w;
  const Buffer g = buffer({"grads", w.name.path}, grad, zeroed ? Access::write : Access::read, &w);
  void*& known = span_of(tensor).arrays[1];
  if (known != g.begin && g.n > 0) refuse_overlap(g);  // an address that was taken before has been checked
  known = g.begin;
}

static bool is_row_grad(py::handle grad) {
  static const py::handle type = py::object(py::module_::import("fusedoptim.core.row_grad").attr("RowGrad")).release();
  return PyObject_TypeCheck(grad.ptr(), reinterpret_cast<PyTypeObject*>(type.ptr()));
}

Plan::Touched Plan::take_rows(const Tensor& tensor, py::handle grad, bool zeroed) {
  const Span& span = span_of(tensor);
  const std::string path = tensor.w.name.path, rows_path = path + ".rows", values_path = path + ".values";
  const auto refuse_with = [&](bool given, const char* what) {
    if (given) refuse("row_grad_with", "grads" + path, what);
  };
  if (!takes_rows(row())) refuse("needs_all_rows", "grads" + path, row().signature->name);
  refuse_with(zeroed, "zero_grads or bind()");
  refuse_with(span.grad_sum != nullptr, "accumulate");
  refuse_with(span.ema != nullptr, "ema");
  refuse_with(span.settings->l2 != 0, "the L2 penalty weight_decay");
  const py::object rows = grad.attr("rows"), values = grad.attr("values");
  const Buffer g = buffer({"grads", values_path.c_str()}, values, Access::read);
  const RowGrad checked = row_grad({"grads", rows_path.c_str()}, rows, g, tensor.w);
  if (g.n > 0) refuse_overlap(g);
  return {&tensor, rows, values, checked};
}

void Plan::take_grad(Tensor& tensor, py::handle grad, bool zeroed, std::vector<Touched>& touched) {
  const Buffer now = buffer(tensor.w.name, tensor.w.array, Access::write);
  if (now.begin != tensor.w.begin || now.n != tensor.w.n) refuse("moved", tensor.w.name.str());
  if (is_row_grad(grad))
    touched.push_back(take_rows(tensor, grad, zeroed));
  else
    take_array(tensor, grad, zeroed);
}

std::vector<Plan::Touched> Plan::take_grads(const py::object& grads, bool zeroed) {
  std::vector<Touched> touched;
  if (grads.is_none()) {
    if (bound.is_none()) refuse("not_bound");
    return touched;
  }
  if (py::len(grads) != tensors.size()) throw std::invalid_argument("as many gradients as tensors");
  bound = py::none();
  std::size_t i = 0;
  for (Tensor& tensor : tensors) take_grad(tensor, PyList_GET_ITEM(grads.ptr(), Py_ssize_t(i++)), zeroed, touched);
  if (zeroed) refuse_shared();
  return touched;
}

// The work of a step, in the order of the tensors: of some the rows that are touched, of the others all. Empty where
// that is `works`.
std::vector<Work> Plan::with_rows(const std::vector<Touched>& touched) {
  if (touched.empty()) return {};
  std::vector<Work> expanded(n_dtypes);
  auto next = touched.begin();
  for (const Tensor& tensor : tensors)
    if (next != touched.end() && next->tensor == &tensor)
      add_rows(expanded[std::size_t(tensor.w.dtype)], span_of(tensor), row(), next++->grad);
    else
      expanded[std::size_t(tensor.w.dtype)].add(span_of(tensor));
  return expanded;
}

// A gradient that is set to zero must not be one that is still to be read.
void Plan::refuse_shared() {
  std::vector<Buffer> grads;
  for (const Tensor& tensor : tensors) {
    grads.push_back(tensor.w);
    grads.back().name.argument = "grads";
    grads.back().begin = static_cast<char*>(span_of(tensor).arrays[1]);
  }
  sort_apart(grads);
}

void Plan::bind(const py::list& grads) {
  take_grads(grads, true);
  bound = grads;
}

// What a group passes: the hyper-parameters that are not counted from the arrays, and the L2 penalty.
static std::size_t n_values(const Row& row) {
  std::size_t n = 1;
  for (int k = 0; k < row.n_hyper; ++k) n += row.signature->hyper[k].domain != Domain::rows;
  return n;
}

static bool is_t(const Hyper& hyper) { return hyper.domain == Domain::step || hyper.domain == Domain::count; }

void Plan::take_values(const py::list& values, double t, const Options& options) {
  if (values.size() != settings.size()) throw std::invalid_argument("as many values as groups");
  for (std::size_t group = 0; group < settings.size(); ++group) {
    const auto of_group = py::reinterpret_borrow<py::list>(PyList_GET_ITEM(values.ptr(), Py_ssize_t(group)));
    if (of_group.size() != n_values(row())) throw std::invalid_argument("as many values as hyper-parameters, and one");
    const auto value = [&](int k) { return py::handle(PyList_GET_ITEM(of_group.ptr(), k)); };
    Settings next;
    int k = 0;
    for (; k < row().n_hyper && row().signature->hyper[k].domain != Domain::rows; ++k)
      next.hyper[k] =
          is_t(row().signature->hyper[k]) && value(k).is_none() ? t : hyper_value(row().signature->hyper[k], value(k));
    next.l2 = hyper_value(l2_penalty, value(k));
    if (k < row().n_hyper) next.hyper[k] = window;
    next.scale = (options.maximize ? -1 : 1) / options.grad_scale;
    next.count = options.accumulate;
    next.clip_value = options.clip_value;
    next.ema_decay = options.ema;
    next.zero_grads = options.zero_grads;
    settings[group] = next;
  }
}

static void note(const py::list& outcome, bool taken) { outcome[0] = py::bool_(taken); }

py::object Plan::step(const py::object& grads, const py::list& values, double t, const Options& options,
                      const py::list& outcome) {
  take_values(values, t, options);
  const std::vector<Touched> touched = take_grads(grads, options.zero_grads);
  std::vector<Work> expanded = with_rows(touched);
  Work* const todo = touched.empty() ? works : expanded.data();
  double norm = 0;
  bool taken = true;
  const auto decide = [&](double square_sum) {
    norm = std::sqrt(square_sum) / std::fabs(options.grad_scale);
    if (options.require_finite && !std::isfinite(norm)) return taken = false;
    if (norm > options.clip_norm)
      for (Settings& s : settings) s.scale *= options.clip_norm / norm;
    return true;
  };
  const bool needs_norm = options.require_finite || options.clip_norm < std::numeric_limits<double>::infinity();
  {
    const py::gil_scoped_release release;
    if (needs_norm)
      run(todo, row(), decide, options.num_threads);
    else
      run(todo, row(), nullptr, options.num_threads);
  }
  note(outcome, taken);
  return needs_norm ? py::object(py::float_(norm)) : py::none();
}

void Plan::step_one(std::size_t i, const py::object& grad, const py::list& values, double t, const Options& options,
                    const py::list& outcome) {
  bound = py::none();
  Tensor& tensor = tensors.at(i);
  take_values(values, t, options);
  std::vector<Touched> touched;
  take_grad(tensor, grad, options.zero_grads, touched);
  Work one[n_dtypes];
  if (touched.empty())
    one[tensor.w.dtype].add(span_of(tensor));
  else
    add_rows(one[tensor.w.dtype], span_of(tensor), row(), touched[0].grad);
  {
    const py::gil_scoped_release release;
    run(one, row(), nullptr, options.num_threads);
  }
  note(outcome, true);
}

void Plan::accumulate(const py::object& grads, const Options& options, const py::list& outcome) {
  take_grads(grads, options.zero_grads);
  Settings settings;
  settings.zero_grads = options.zero_grads;
  Work sums[n_dtypes];
  for (const Tensor& tensor : tensors) {
    const Span& span = span_of(tensor);
    sums[tensor.w.dtype].add({{span.grad_sum, span.arrays[1]}, span.n, &settings});
  }
  {
    const py::gil_scoped_release release;
    run(sums, active_table().rows[row_index("accumulate")], nullptr, options.num_threads);
  }
  note(outcome, true);
}

double Plan::norm(const py::object& grads, const Options& options) {
  const std::vector<Touched> touched = take_grads(grads, false);
  std::vector<Work> expanded = with_rows(touched);
  for (Settings& s : settings) s.count = options.accumulate;
  double norm = 0;
  const auto decide = [&](double square_sum) {
    norm = std::sqrt(square_sum);
    return false;
  };
  const py::gil_scoped_release release;
  run(touched.empty() ? works : expanded.data(), row(), decide, options.num_threads);
  return norm;
}

}  // namespace fusedoptim
