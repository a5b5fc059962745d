// The Python module: a function for each row of the kernel table, the plan, and what runs. Knows no optimizer by name.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstring>
#include <sstream>

#include "arrays.hpp"
#include "dispatch.hpp"
#include "parallel.hpp"
#include "plan.hpp"
#include "rows.hpp"

namespace fusedoptim {

namespace {

constexpr const char* shape_names[] = {"weight", "ring", "tensor", "row", "rows", "columns", "axes", "scratch"};

// What is called from Python: a rule on a tensor, kernel(w, g, *state, **hyper), or on the rows of one that a gradient
// touches, kernel(w, rows, g_rows, *state, **hyper).
struct Kernel {
  const Row& row;  // of the active table
  bool by_rows;

  std::string name() const { return row.signature->name + std::string(by_rows ? "_rows" : ""); }
  int n_before_state() const { return by_rows ? 3 : 2; }
  int n_arrays() const { return n_before_state() + row.n_state; }
  const char* array_name(int k) const {
    constexpr const char* names[2][3] = {{"w", "g"}, {"w", "rows", "g_rows"}};
    return k < n_before_state() ? names[by_rows][k] : row.signature->state[k - n_before_state()].name;
  }

  // As pybind11 would write it, for help() and the type stubs.
  std::string signature() const {
    std::ostringstream out;
    out << name() << "(";
    for (int k = 0; k < n_arrays(); ++k) out << (k ? ", " : "") << array_name(k) << ": numpy.ndarray";
    const Hyper* const first = row.signature->hyper;
    for (const Hyper* hyper = first; hyper->name && hyper->domain != Domain::rows; ++hyper)
      out << (hyper == first ? ", *, " : ", ") << hyper->name
          << ": float = " << std::string(py::repr(py::float_(hyper->fallback)));  // all digits
    out << ") -> None";
    return out.str();
  }
};

struct Arguments {
  py::handle arrays[3 + max_state];
  Settings settings;
};

// An array may also be given by its name.
Arguments arguments(const Kernel& kernel, const py::args& args, const py::kwargs& kwargs) {
  Arguments given;
  const Row& row = kernel.row;
  double* const hyper = given.settings.hyper;
  const auto take = [&](const char* name, py::handle value) {
    for (int k = 0; k < row.n_hyper; ++k)
      if (std::strcmp(name, row.signature->hyper[k].name) == 0)
        return void(hyper[k] = hyper_value(row.signature->hyper[k], value));
    for (int k = 0; k < kernel.n_arrays(); ++k)
      if (!given.arrays[k] && std::strcmp(name, kernel.array_name(k)) == 0) return void(given.arrays[k] = value);
    refuse("unknown_keyword", kernel.signature(), name);
  };
  if (int(args.size()) > kernel.n_arrays()) refuse("too_many_arrays", kernel.signature(), args.size());
  for (std::size_t k = 0; k < args.size(); ++k) given.arrays[k] = PyTuple_GET_ITEM(args.ptr(), k);
  for (int k = 0; k < row.n_hyper; ++k) hyper[k] = row.signature->hyper[k].fallback;
  for (const auto& [key, value] : kwargs) {
    const char* name = PyUnicode_AsUTF8(key.ptr());
    if (!name) throw py::error_already_set();  // a lone surrogate
    take(name, value);
  }
  for (int k = 0; k < kernel.n_arrays(); ++k)
    if (!given.arrays[k]) refuse("missing_array", kernel.signature(), kernel.array_name(k));
  return given;
}

void call(const Kernel& kernel, const py::args& args, const py::kwargs& kwargs) {
  const Row& row = kernel.row;
  Arguments given = arguments(kernel, args, kwargs);
  Buffer buffers[2 + max_state];  // w, the gradient, the state
  Span span = {};
  for (int k = 0; k < 2 + row.n_state; ++k) {
    const int argument = k + (kernel.by_rows && k > 0);
    const Name name = {kernel.array_name(argument)};
    const Shape shape = k < 2 ? Shape::weight : row.signature->state[k - 2].shape;
    const Buffer* like = k == 0 || (kernel.by_rows && k == 1) ? nullptr : buffers;
    buffers[k] = buffer(name, given.arrays[argument], k == 1 ? Access::read : Access::write, like, shape);
    for (int j = 0; j < k; ++j)
      if (buffers[j].begin < buffers[k].end() && buffers[k].begin < buffers[j].end())
        refuse("overlap", name.str(), buffers[j].name.str());
    if (shape == Shape::ring) given.settings.hyper[row.n_hyper - 1] = double(py::len(buffers[k].array));
    span.arrays[k] = buffers[k].begin;
  }
  span.n = buffers[0].n;
  span.row = row_of(buffers[0]);
  std::vector<std::size_t> axes;
  if (row.n_passes > 0) axes = axes_of(buffers[0]);
  span.axes = axes.data();
  span.n_axes = axes.size();
  span.settings = &given.settings;
  Work works[n_dtypes];
  Work& work = works[buffers[0].dtype];
  if (kernel.by_rows)
    add_rows(work, span, row, row_grad({"rows"}, given.arrays[1], buffers[1], buffers[0]));
  else
    work.add(span);
  const py::gil_scoped_release release;
  run(works, row, nullptr, 0);
}

// The names of those arrays whose bits are set.
py::list array_names(const Kernel& kernel, unsigned bits) {
  py::list names;
  for (int k = 0; k < kernel.n_arrays(); ++k)
    if (bits >> k & 1) names.append(kernel.array_name(k));
  return names;
}

// {rule: [(name of a state array, its shape)]}, {rule: [name of a hyper-parameter]}, and {rule: [(arrays that a pass
// reads, arrays that it writes)]}, in order.
void describe(const Kernel& kernel, py::dict& states, py::dict& hypers, py::dict& passes) {
  const Row& row = kernel.row;
  py::list state, hyper, per_pass;
  for (const State* s = row.signature->state; s->name; ++s)
    if (s->shape != Shape::scratch) state.append(py::make_tuple(s->name, shape_names[int(s->shape)]));
  for (const Hyper* h = row.signature->hyper; h->name && h->domain != Domain::rows; ++h) hyper.append(h->name);
  for (const Moved& moved : row.moved)
    if (moved.reads)
      per_pass.append(py::make_tuple(array_names(kernel, moved.reads), array_names(kernel, moved.writes)));
  passes[row.signature->name] = per_pass;
  states[row.signature->name] = state;
  hypers[row.signature->name] = hyper;
}

// Refuses a value that the rule's hyper-parameter of this name, or else the L2 penalty, may not have.
void check_hyper(const std::string& rule, const std::string& name, py::handle value) {
  for (const Hyper* hyper = active_table().rows[row_index(rule)].signature->hyper; hyper->name; ++hyper)
    if (name == hyper->name) return void(hyper_value(*hyper, value));
  hyper_value(l2_penalty, value);
}

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const Table* table : available_tables()) names.emplace_back(table->isa);
  return names;
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  m.doc() = "The compiled kernels, and what runs them.";
  m.attr("version") = FUSEDOPTIM_VERSION;

  py::dict states, hypers, passes;
  py::list measured, of_rows;
  const auto define = [&m](std::size_t rule, bool by_rows) {
    const auto kernel = [=] { return Kernel{active_table().rows[rule], by_rows}; };
    const auto function = [=](const py::args& args, const py::kwargs& kwargs) { call(kernel(), args, kwargs); };
    py::options options;
    options.disable_function_signatures();
    m.def(kernel().name().c_str(), function, kernel().signature().c_str());
  };
  for (std::size_t rule = 0; rule < active_table().n_rows; ++rule) {
    const Row& row = active_table().rows[rule];
    define(rule, false);
    if (row.n_hyper == 0) continue;
    describe({row, false}, states, hypers, passes);
    if (row.measure[0] != nullptr || row.by_row || row.n_passes > 0) measured.append(row.signature->name);
    if (!takes_rows(row)) continue;
    define(rule, true);
    of_rows.append(row.signature->name);
  }
  m.attr("rule_states") = states;
  m.attr("rule_hypers") = hypers;
  m.attr("rule_passes") = passes;
  m.attr("measured_rules") = measured;
  m.attr("rules_of_rows") = of_rows;

  const auto check_weight = [](const py::object& weight, const std::string& path) {
    buffer({"params", path.c_str()}, weight, Access::write);
  };
  m.def("check_weight", check_weight, py::arg("weight"), py::arg("path"));
  m.def("check_hyper", &check_hyper, py::arg("rule"), py::arg("name"), py::arg("value"));
  py::class_<Options>(m, "Options")
      .def(py::init<>())
      .def_readwrite("accumulate", &Options::accumulate)
      .def_readwrite("clip_norm", &Options::clip_norm)
      .def_readwrite("clip_value", &Options::clip_value)
      .def_readwrite("keeps_ema", &Options::keeps_ema)
      .def_readwrite("ema", &Options::ema)
      .def_readwrite("grad_scale", &Options::grad_scale)
      .def_readwrite("maximize", &Options::maximize)
      .def_readwrite("zero_grads", &Options::zero_grads)
      .def_readwrite("require_finite", &Options::require_finite)
      .def_readwrite("num_threads", &Options::num_threads);
  py::class_<Plan>(m, "Plan")
      .def(py::init<const std::string&, std::size_t>(), py::arg("rule"), py::arg("n_groups"))
      .def("add", &Plan::add, py::arg("group"), py::arg("path"), py::arg("arrays"), py::arg("grad_sum"), py::arg("ema"))
      .def("finish", &Plan::finish)
      .def("bind", &Plan::bind, py::arg("grads"))
      .def_readonly("bound", &Plan::bound)
      .def("step", &Plan::step, py::arg("grads"), py::arg("values"), py::arg("t"), py::arg("options"),
           py::arg("outcome"))
      .def("step_one", &Plan::step_one, py::arg("tensor"), py::arg("grad"), py::arg("values"), py::arg("t"),
           py::arg("options"), py::arg("outcome"))
      .def("accumulate", &Plan::accumulate, py::arg("grads"), py::arg("options"), py::arg("outcome"))
      .def("norm", &Plan::norm, py::arg("grads"), py::arg("options"));

  m.def("isa", [] { return active_table().isa; });
  m.def("available_isas", &available_isas);
  m.def("set_isa", &use_isa, py::arg("name"));

  m.def("num_threads", &num_threads, py::arg("requested") = 0);
  m.def("threads_set_by", &threads_set_by);
  m.def("num_cpus", &num_cpus);
  m.def("set_default_threads", &set_default_threads, py::arg("n"));
  m.def("set_cpu_quota", &set_cpu_quota, py::arg("n"));
  m.def("has_openmp", &has_openmp);
  m.attr("parallel_threshold") = parallel_threshold;
}

}  // namespace fusedoptim
