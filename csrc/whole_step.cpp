#include "whole_step.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <unordered_map>

#include "flush.hpp"
#include "no_gil.hpp"
#include "run.hpp"

namespace fusedoptim {

namespace {

bool flag(const char* name, py::handle value) {
  if (PyBool_Check(value.ptr())) return value.ptr() == Py_True;
  return py::module_::import("fusedoptim.core.checks").attr("flag")(name, value).cast<bool>();
}

double limit(const char* name, py::handle value) {
  return value.is_none() ? std::numeric_limits<double>::infinity() : number(name, value, Domain::limit, ", or None");
}

// What surrounds the rule.
struct Around {
  double grad_scale = 1, clip_norm = limit("clip_norm", py::none()), clip_value = clip_norm, l2 = 0, ema_decay = 0;
  bool maximize = false, zero_grads = false, measures = false;
  int threads = 0;
  py::handle ema;

  bool take(const char* name, py::handle value) {
    const auto is = [&](const char* ours) { return std::strcmp(name, ours) == 0; };
    if (is("zero_grads")) return zero_grads = flag(name, value), true;
    if (is("clip_norm")) return clip_norm = limit(name, value), measures = !value.is_none(), true;
    if (is("weight_decay")) return l2 = hyper_value(l2_penalty, value), true;
    if (is("ema")) return ema = value, true;
    if (is("ema_decay")) return ema_decay = number(name, value, Domain::unit), true;
    if (is("grad_scale")) return grad_scale = number(name, value, Domain::positive), true;
    if (is("clip_value")) return clip_value = limit(name, value), true;
    if (is("maximize")) return maximize = flag(name, value), true;
    if (is("num_threads")) return threads = value.is_none() ? 0 : threads_of(name, value), true;
    return false;
  }

  void set(Settings& settings) const {
    settings.scale = (maximize ? -1 : 1) / grad_scale;
    settings.clip_value = clip_value, settings.l2 = l2, settings.zero_grads = zero_grads;
    settings.ema_weight = 1 - ema_decay;
  }

 private:
  static int threads_of(const char* name, py::handle value) {
    return py::module_::import("fusedoptim.core.checks").attr("thread_count")(name, value).cast<int>();
  }
};

bool is_scratch(const State& state) { return state.shape == Shape::scratch; }

// The rules of one pass over arrays that the caller keeps, by their names.
std::unordered_map<std::string, std::size_t> known_rules() {
  std::unordered_map<std::string, std::size_t> known;
  const auto& rules = active_isa().rules;
  for (std::size_t k = 0; k < rules.size(); ++k) {
    const State* const state = rules[k].signature->state;
    if (rules[k].n_hyper > 0 && std::none_of(state, state + rules[k].n_state, is_scratch))
      known[rules[k].signature->name] = k;
  }
  return known;
}

const Rule& rule_called(const std::string& name) {
  static const auto& known = *new auto(known_rules());
  const auto found = known.find(name);
  if (found == known.end()) refuse("no_rule_of_a_whole_step", name);
  return rule_at(found->second);
}

void accept_average(py::handle ema, const Kernel& kernel, Accepted& tensor) {
  const Buffer b = buffer({"ema"}, ema, Access::write, tensor.buffers);
  for (int k = 0; k < 2 + kernel.rule.n_state; ++k) refuse_overlap(b, tensor.buffers[k]);
  tensor.span.ema = b.begin;
}

}  // namespace

std::optional<double> whole_step(const std::string& name, const py::args& args, const py::kwargs& kwargs) {
  const Kernel kernel = {rule_called(name), false};
  const Rule& rule = kernel.rule;
  Around around;
  Arguments given =
      kernel.arguments(args, kwargs, [&](const char* name, py::handle value) { return around.take(name, value); });
  if (given.random) refuse("random_of_a_whole_step");
  around.set(given.settings);
  Accepted tensor;
  kernel.accept(given, tensor);
  if (around.ema && !around.ema.is_none()) accept_average(around.ema, kernel, tensor);
  Work work;
  work.add(tensor.span);
  const NoGil no_gil;
  Run run(work, rule, around.threads, around.measures);
  if (!around.measures) return run.update(), std::nullopt;
  double norm = 0;
  {
    const FlushSubnormals nearest;
    norm = std::sqrt(run.square_sum()) / around.grad_scale;
  }
  run.update(norm > around.clip_norm ? around.clip_norm / norm : 1);
  return norm;
}

}  // namespace fusedoptim
