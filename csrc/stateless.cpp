#include "stateless.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <sstream>

#include "narrow.hpp"
#include "no_gil.hpp"
#include "run.hpp"
#include "touched.hpp"

namespace fusedoptim {

namespace {

void refuse_overlap(const Buffer& a, const Buffer& b) {
  if (a.begin < b.end() && b.begin < a.end()) refuse("overlap", a.name.str(), b.name.str());
}

struct Arguments {
  py::handle arrays[3 + max_state];
  py::handle random;
  Settings settings;
};

// An array may also be given by its name.
Arguments arguments(const Kernel& kernel, const py::args& args, const py::kwargs& kwargs) {
  Arguments given;
  const Rule& rule = kernel.rule;
  double* const hyper = given.settings.hyper;
  const auto take = [&](const char* name, py::handle value) {
    for (int k = 0; k < rule.n_hyper; ++k)
      if (std::strcmp(name, rule.signature->hyper[k].name) == 0)
        return void(hyper[k] = hyper_value(rule.signature->hyper[k], value));
    for (int k = 0; k < kernel.n_arrays(); ++k)
      if (!given.arrays[k] && std::strcmp(name, kernel.array_name(k)) == 0) return void(given.arrays[k] = value);
    if (std::strcmp(name, "random") == 0 && kernel.may_be_narrow()) return void(given.random = value);
    refuse("unknown_keyword_of_kernel", kernel.name(), name, kernel.keywords());
  };
  if (int(args.size()) > kernel.n_arrays()) refuse("too_many_arrays", kernel.signature(), args.size());
  for (std::size_t k = 0; k < args.size(); ++k) given.arrays[k] = PyTuple_GET_ITEM(args.ptr(), k);
  for (int k = 0; k < rule.n_hyper; ++k) hyper[k] = rule.signature->hyper[k].fallback;
  for (const auto& [key, value] : kwargs) {
    const char* name = PyUnicode_AsUTF8(key.ptr());
    if (!name) throw py::error_already_set();  // a lone surrogate
    take(name, value);
  }
  for (int k = 0; k < kernel.n_arrays(); ++k)
    if (!given.arrays[k]) refuse("missing_array", kernel.signature(), kernel.array_name(k));
  return given;
}

// Seed, step and number of the tensor.
std::array<std::uint64_t, 3> random_of(py::handle given) {
  std::array<std::uint64_t, 3> numbers = {};
  const bool is_triple = PyTuple_CheckExact(given.ptr()) && PyTuple_GET_SIZE(given.ptr()) == 3;
  if (!is_triple) refuse("bad_random", given);
  for (int k = 0; k < 3; ++k) numbers[std::size_t(k)] = PyLong_AsUnsignedLongLong(PyTuple_GET_ITEM(given.ptr(), k));
  if (PyErr_Occurred()) {
    PyErr_Clear();
    refuse("bad_random", given);
  }
  return numbers;
}

void run(const Rule& rule, Work& work) {
  const NoGil no_gil;
  Run(work, rule, 0).update();
}

}  // namespace

bool Kernel::may_be_narrow() const { return !by_rows && fusedoptim::may_be_narrow(rule); }

void Kernel::step_narrow(const py::handle* arrays, py::handle random, Settings& settings) const {
  Narrowed tensor;
  tensor.weight_at_random = tensor.states_at_random = bool(random);
  if (random) {
    const auto numbers = random_of(random);
    settings.seed = numbers[0], settings.step = numbers[1], tensor.narrow.tensor = numbers[2];
  }
  for (int k = 0; k < 2 + rule.n_state; ++k) {
    const std::size_t first = tensor.buffers.size();
    accept_narrow(rule, k, {array_name(k)}, arrays[k], tensor);
    if (tensor.narrow.storage[k] == Storage::e5m3 && !random) refuse("needs_random", array_name(k));
    for (std::size_t i = first; i < tensor.buffers.size(); ++i)
      for (std::size_t j = 0; j < i; ++j) refuse_overlap(tensor.buffers[i], tensor.buffers[j]);
    if (k >= 2 && rule.signature->state[k - 2].shape == Shape::ring)
      settings.hyper[rule.n_hyper - 1] = double(py::len(tensor.buffers[first].array));
  }
  Span span = span_of(tensor.buffers[0]);
  std::copy(tensor.arrays, tensor.arrays + 2 + rule.n_state, span.arrays);
  span.settings = &settings;
  if (span.dtype == 0) span.narrow = &tensor.narrow;
  Work work;
  work.add(span);
  run(rule, work);
}

const char* Kernel::array_name(int k) const {
  constexpr const char* names[2][3] = {{"w", "g"}, {"w", "rows", "g_rows"}};
  return k < n_before_state() ? names[by_rows][k] : rule.signature->state[k - n_before_state()].name;
}

py::list Kernel::keywords() const {
  py::list names;
  for (int k = 0; k < n_arrays(); ++k) names.append(array_name(k));
  for (const Hyper* hyper = rule.signature->hyper; hyper->name && hyper->domain != Domain::slots; ++hyper)
    names.append(hyper->name);
  if (may_be_narrow()) names.append("random");
  return names;
}

std::string Kernel::signature() const {
  std::ostringstream out;
  out << name() << "(";
  for (int k = 0; k < n_arrays(); ++k) out << (k ? ", " : "") << array_name(k) << ": numpy.ndarray";
  const Hyper* const first = rule.signature->hyper;
  for (const Hyper* hyper = first; hyper->name && hyper->domain != Domain::slots; ++hyper)
    out << (hyper == first ? ", *, " : ", ") << hyper->name
        << ": float = " << std::string(py::repr(py::float_(hyper->fallback)));  // all digits
  if (may_be_narrow()) out << ", random: tuple[int, int, int] | None = None";
  out << ") -> None";
  return out.str();
}

void Kernel::operator()(const py::args& args, const py::kwargs& kwargs) const {
  Arguments given = arguments(*this, args, kwargs);
  if ((given.random || !std::all_of(given.arrays, given.arrays + n_arrays(), is_wide)) && may_be_narrow())
    return step_narrow(given.arrays, given.random, given.settings);
  Buffer buffers[2 + max_state];  // w, the gradient, the state
  void* arrays[2 + max_state];
  for (int k = 0; k < 2 + rule.n_state; ++k) {
    const int argument = k + (by_rows && k > 0);
    const Name name = {array_name(argument)};
    const Shape shape = k < 2 ? Shape::weight : rule.signature->state[k - 2].shape;
    const Buffer* like = k == 0 || (by_rows && k == 1) ? nullptr : buffers;
    buffers[k] = buffer(name, given.arrays[argument], k == 1 ? Access::read : Access::write, like, shape);
    for (int j = 0; j < k; ++j) refuse_overlap(buffers[k], buffers[j]);
    if (shape == Shape::ring) given.settings.hyper[rule.n_hyper - 1] = double(py::len(buffers[k].array));
    arrays[k] = buffers[k].begin;
  }
  if (rule.of[buffers[0].dtype].make == nullptr) refuse("dtype_of_rule", "w", rule.signature->name);
  Span span = span_of(buffers[0]);
  std::copy(arrays, arrays + 2 + rule.n_state, span.arrays);
  Axes axes;
  if (rule.n_passes > 0) axes = axes_of(buffers[0]), span.axes = axes.data(), span.n_axes = axes.size();
  span.settings = &given.settings;
  Work work;
  if (by_rows)
    add_rows(work, span, rule, row_grad({"rows"}, given.arrays[1], buffers[1], buffers[0]));
  else
    work.add(span);
  run(rule, work);
}

}  // namespace fusedoptim
