// The tensors of one optimizer, checked once, and the steps over them.
#pragma once

#include <string>
#include <vector>

#include "arrays.hpp"
#include "dispatch.hpp"

namespace fusedoptim {

class Plan {
 public:
  // `paths` tells each weight's place in the nest. `states` has the weight's state arrays, in the order of the rule,
  // after the sum of its gradients if the plan accumulates.
  Plan(const std::string& rule, const std::vector<std::string>& paths, const std::vector<py::object>& weights,
       const std::vector<std::vector<py::object>>& states, bool accumulates);

  // `hyper` has the rule's hyper-parameters in order, and the number of gradients in the mean if the plan accumulates.
  void check(const py::list& hyper) const;

  // Updates all weights and states in place, or raises before anything has changed.
  void step(const py::list& grads, const py::list& hyper, int num_threads);

  // Adds the gradients to their sums.
  void accumulate(const py::list& grads, int num_threads);

 private:
  struct Tensor {
    Buffer w;
    std::size_t span;  // its place in the part of its dtype
  };
  struct Part {  // the tensors of one dtype
    std::vector<Span> spans;
    std::vector<Span> sums;  // (sum, gradient): the arguments of the rule Accumulate
    std::vector<std::size_t> starts = {0};
  };

  void refuse_overlaps();
  void take_hyper(const py::list& values, double* hyper) const;
  void take_grads(const py::list& grads);
  void run_parts(const Update* update, std::vector<Span> Part::*spans, const double* hyper, int num_threads) const;

  const std::size_t rule;
  const bool accumulates;
  const std::vector<std::string> paths;
  const std::vector<py::object> weights;  // kept alive, as are the states
  const std::vector<std::vector<py::object>> states;
  std::vector<Tensor> tensors;
  std::vector<Buffer> written;  // all weights and states in the order of their addresses
  Part parts[n_dtypes];
  double rows = 0;
};

}  // namespace fusedoptim
