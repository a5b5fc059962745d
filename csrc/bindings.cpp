// The Python module: a function for each rule of the table, the plan, and what runs. Knows no optimizer by name.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "mean.hpp"
#include "narrow.hpp"
#include "plan.hpp"
#include "stateless.hpp"
#include "swap.hpp"
#include "tensors.hpp"
#include "whole_step.hpp"

namespace fusedoptim {

namespace {

// The names of those arrays whose bits are set.
py::list array_names(const Kernel& kernel, unsigned bits) {
  py::list names;
  for (int k = 0; k < kernel.n_arrays(); ++k)
    if (bits >> k & 1) names.append(kernel.array_name(k));
  return names;
}

// What Python knows of the rules:
//   rule_states     {rule: [(name of a state array, its shape)]}
//   rule_hypers     {rule: {name of a hyper-parameter: its default}}
//   rule_passes     {rule: [(arrays that a pass reads, arrays that it writes)]}
//   measured_rules  those whose steps depend on sums over a tensor or row
//   rules_of_rows   those that can leave out rows
//   narrow_states   {rule: {name of a state that may be 8 bits: those of its exponent}}, of those that take 16 bits at
//   all
class Description {
 public:
  void add(const Rule& rule) {
    const Kernel kernel = {rule, false};
    const char* name = rule.signature->name;
    py::list state, per_pass;
    py::dict hyper;
    for (const State* s = rule.signature->state; s->name; ++s)
      if (s->shape != Shape::scratch) state.append(py::make_tuple(s->name, shape_name(s->shape)));
    for (const Hyper* h = rule.signature->hyper; h->name && h->domain != Domain::slots; ++h)
      hyper[h->name] = h->fallback;
    for (const Moved& moved : rule.moved)
      if (moved.reads)
        per_pass.append(py::make_tuple(array_names(kernel, moved.reads), array_names(kernel, moved.writes)));
    passes[name] = per_pass, states[name] = state, hypers[name] = hyper;
    if (rule.measures_tensors || rule.by_row || rule.n_passes > 0) measured.append(name);
    if (can_leave_out_rows(rule)) of_rows.append(name);
    if (!may_be_narrow(rule)) return;
    py::dict exponents;
    for (const State* s = rule.signature->state; s->name; ++s)
      if (s->narrows != Narrows::no) exponents[s->name] = s->narrows == Narrows::any_sign ? 4 : 5;
    narrow[name] = exponents;
  }

  void put_into(py::module_& m) const {
    m.attr("rule_states") = states, m.attr("rule_hypers") = hypers, m.attr("rule_passes") = passes;
    m.attr("measured_rules") = measured, m.attr("rules_of_rows") = of_rows;
    m.attr("narrow_states") = narrow;
  }

 private:
  py::dict states, hypers, passes, narrow;
  py::list measured, of_rows;
};

void define_kernel(py::module_& m, std::size_t index, bool by_rows) {
  const auto kernel = [=] { return Kernel{rule_at(index), by_rows}; };
  py::options options;
  options.disable_function_signatures();
  m.def(
      kernel().name().c_str(), [=](const py::args& args, const py::kwargs& kwargs) { kernel()(args, kwargs); },
      kernel().signature().c_str());
}

void define_whole_step(py::module_& m) {
  py::options options;
  options.disable_function_signatures();
  m.def("whole_step", &whole_step, "whole_step(rule: str, *args: typing.Any, **kwargs: typing.Any) -> float | None");
}

// Refuses a value that the rule's hyper-parameter of this name, or else the L2 penalty, may not have.
void check_hyper(const std::string& rule, const std::string& name, py::handle value) {
  for (const Hyper* hyper = rule_at(rule_index(rule)).signature->hyper; hyper->name; ++hyper)
    if (name == hyper->name) return void(hyper_value(*hyper, value));
  hyper_value(l2_penalty, value);
}

double check_number(const std::string& name, py::handle value, const std::string& domain, const char* besides) {
  return number(name.c_str(), value, domain_of(domain), besides);
}

void check_weight(const std::string& rule, py::handle weight, const std::string& path, bool frozen) {
  const Access access = frozen ? Access::read : Access::write;
  const Name name = {"params", path.c_str()};
  may_be_narrow(rule_at(rule_index(rule))) ? buffer_of_any_width(name, weight, access) : buffer(name, weight, access);
}

py::tuple python_shape(const std::string& name, const Axes& weight, std::size_t slots) {
  return py::tuple(py::cast(state_shape(name, weight, slots)));
}

void define_rules(py::module_& m) {
  Description description;
  for (std::size_t k = 0; k < active_isa().rules.size(); ++k) {
    define_kernel(m, k, false);
    const Rule& rule = rule_at(k);
    if (rule.n_hyper == 0) continue;
    description.add(rule);
    if (can_leave_out_rows(rule)) define_kernel(m, k, true);
  }
  description.put_into(m);
  define_whole_step(m);
  m.def("check_weight", &check_weight, py::arg("rule"), py::arg("weight"), py::arg("path"), py::arg("frozen") = false);
  m.def("load_numbers", py::overload_cast<py::handle, bool, py::handle>(&load_numbers), py::arg("stored"),
        py::arg("is_signed"), py::arg("x"));
  m.def("store_numbers", &store_numbers, py::arg("stored"), py::arg("is_signed"), py::arg("x"));
  m.def("check_hyper", &check_hyper, py::arg("rule"), py::arg("name"), py::arg("value"));
  m.attr("domain_words") = domain_words();
  m.def("check_number", &check_number, py::arg("name"), py::arg("value"), py::arg("domain"), py::arg("besides") = "");
  m.def("state_shape", &python_shape, py::arg("name"), py::arg("weight"), py::arg("slots") = 1);
}

// Of a counter, as a property of the plan.
template <class Count>
auto getter(Count Counters::*count) {
  return [=](const Plan& plan) { return plan.counters.*count; };
}
template <class Count>
auto setter(Count Counters::*count) {
  return [=](Plan& plan, const Count& value) { plan.counters.*count = value; };
}

// Lets the collector of garbage look into a plan.
void set_up_collecting(PyHeapTypeObject* heap_type) {
  PyTypeObject* type = &heap_type->ht_type;
  type->tp_flags |= Py_TPFLAGS_HAVE_GC;
  type->tp_traverse = [](PyObject* self, visitproc visit, void* arg) -> int {
    Py_VISIT(Py_TYPE(self));
    return py::detail::is_holder_constructed(self) ? py::cast<Plan&>(py::handle(self)).traverse(visit, arg) : 0;
  };
  type->tp_clear = [](PyObject* self) {
    if (py::detail::is_holder_constructed(self)) py::cast<Plan&>(py::handle(self)).unwatch();
    return 0;
  };
}

// Objects are made by functions, new_..., and counters come by value: where memory is lacking while pybind11 takes down
// an object that a constructor has made, or one that another keeps alive, it ends the process.
void define_plan(py::module_& m) {
  py::class_<Options>(m, "Options")
      .def_readwrite("accumulate", &Options::accumulate)
      .def_readwrite("measures_norm", &Options::measures_norm)
      .def_readwrite("clip_norm", &Options::clip_norm)
      .def_readwrite("clip_value", &Options::clip_value)
      .def_readwrite("keeps_ema", &Options::keeps_ema)
      .def_readwrite("ema", &Options::ema)
      .def_readwrite("corrects_ema", &Options::corrects_ema)
      .def_readwrite("ema_from_zero", &Options::ema_from_zero)
      .def_readwrite("grad_scale", &Options::grad_scale)
      .def_readwrite("maximize", &Options::maximize)
      .def_readwrite("zero_grads", &Options::zero_grads)
      .def_readwrite("require_finite", &Options::require_finite)
      .def_readwrite("raise_nonfinite", &Options::raise_nonfinite)
      .def_readwrite("seed", &Options::seed)
      .def_readwrite("num_threads", &Options::num_threads);
  m.def("new_options", [] { return Options(); });
  py::class_<Counters>(m, "Counters")
      .def_readonly("t", &Counters::t)
      .def_readonly("skipped", &Counters::skipped)
      .def_readonly("accumulated", &Counters::accumulated)
      .def_readonly("norm", &Counters::norm);
  m.def(
      "new_counters",
      [](long long t, long long skipped, int accumulated, std::optional<double> norm) {
        return Counters{t, skipped, accumulated, norm};
      },
      py::arg("t"), py::arg("skipped"), py::arg("accumulated"), py::arg("norm"));
  py::class_<Plan>(m, "Plan", py::custom_type_setup(&set_up_collecting))
      .def("add", &Plan::add, py::arg("cohort"), py::arg("frozen"), py::arg("path"), py::arg("arrays"),
           py::arg("grad_sum"), py::arg("ema"), py::arg("copy") = py::none(), py::arg("weight_at_random") = false)
      .def("finish", &Plan::finish)
      .def("watch", &Plan::watch, py::arg("skeleton"), py::arg("of_params"), py::arg("of_state"))
      .def("divide", &Plan::divide, py::arg("second"), py::arg("direction"))
      .def("slice", &Plan::slice, py::arg("slices"), py::arg("exchange"))
      .def("freeze", &Plan::freeze, py::arg("tensors"), py::arg("frozen"))
      .def("bind", &Plan::bind, py::arg("grads"), py::arg("containers"))
      .def_readonly("bound", &Plan::bound)
      .def_property_readonly("cohorts", &Plan::known_cohorts)
      .def_property_readonly("members", &Plan::members)
      .def("set_counts", &Plan::set_counts, py::arg("cohorts"), py::arg("members"))
      .def("check", py::overload_cast<>(&Plan::check, py::const_))
      .def("check_state", &Plan::check_state)
      .def("is_unchanged", &Plan::is_unchanged)
      .def("begin", py::overload_cast<const Options&>(&Plan::begin), py::arg("options"))
      .def_property(
          "counters", [](const Plan& plan) { return plan.counters; },
          [](Plan& plan, const Counters& counters) { plan.counters = counters; })
      .def_property("t", getter(&Counters::t), &Plan::set_t)
      .def_property("skipped", getter(&Counters::skipped), setter(&Counters::skipped))
      .def_property_readonly("accumulated", getter(&Counters::accumulated))
      .def_property("norm", getter(&Counters::norm), setter(&Counters::norm))
      .def("step", &Plan::step, py::arg("grads"), py::arg("values"), py::arg("options"),
           py::arg("values_at") = py::none())
      .def("flush", &Plan::flush, py::arg("values"), py::arg("options"), py::arg("values_at") = py::none())
      .def("step_one", &Plan::step_one, py::arg("tensor"), py::arg("grad"), py::arg("values"), py::arg("options"))
      .def("end_block", &Plan::end_block, py::arg("options"))
      .def("accumulate", &Plan::accumulate, py::arg("grads"), py::arg("options"))
      .def("hold", &Plan::hold, py::arg("holdings"), py::arg("idle"), py::arg("before_write"))
      .def("take_tensors", &Plan::take_tensors, py::arg("grads"), py::arg("values"), py::arg("ascends"),
           py::arg("options"))
      .def("norm_of_tensors", &Plan::norm_of_tensors, py::arg("options"))
      .def("step_tensors", &Plan::step_tensors, py::arg("values"), py::arg("options"))
      .def_static("step_all", &Plan::step_all, py::arg("steps"), py::arg("options"));
  m.def(
      "new_plan",
      [](const std::string& rule, const std::vector<std::tuple<std::size_t, long long, long long>>& cohorts,
         bool carries) { return new Plan(rule, cohorts, carries); },
      py::arg("rule"), py::arg("cohorts"), py::arg("carries"));
  m.def("know_torch", &know_torch, py::arg("exchange"), py::arg("codes"));
  m.def("add_row_grad_type", &add_row_grad_type, py::arg("type"));
  m.def("write_mean", &write_mean, py::arg("out"), py::arg("arrays"), py::arg("count"), py::arg("num_threads") = 0);
  py::class_<Swap>(m, "Swap").def("there", &Swap::there).def("back", &Swap::back);
  m.def(
      "new_swap", [](const std::vector<std::pair<py::object, py::object>>& pairs) { return new Swap(pairs); },
      py::arg("pairs"));
}

void define_machine(py::module_& m) {
  m.def("isa", [] { return active_isa().name; });
  m.def("available_isas", [] {
    std::vector<std::string> names;
    for (const Isa& isa : available_isas()) names.emplace_back(isa.name);
    return names;
  });
  m.def("set_isa", &use_isa, py::arg("name"));
  m.def("num_threads", &num_threads, py::arg("requested") = 0);
  m.def("threads_set_by", &threads_set_by);
  m.def("num_cpus", &num_cpus);
  m.def("set_default_threads", &set_default_threads, py::arg("n"));
  m.def("set_cpu_quota", &set_cpu_quota, py::arg("n"));
  m.def("set_least_to_wake", &set_least_to_wake, py::arg("n"));
  m.def("set_openmp_variables", &set_openmp_variables, py::arg("num_threads"), py::arg("thread_limit"));
  m.def(
      "use_openmp", [](const py::object& layer) { use_openmp(py::capsule(layer)); }, py::arg("layer"));
  m.def("use_pool", [] { use_openmp(nullptr); });
  m.def("threading_layer", &threading_layer);
  m.attr("parallel_threshold") = 2 * least_for_a_thread;
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  m.doc() = "The compiled kernels, and what runs them.";
  m.attr("version") = FUSEDOPTIM_VERSION;
  define_rules(m);
  define_plan(m);
  define_machine(m);
}

}  // namespace fusedoptim
