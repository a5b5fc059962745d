#include "plan.hpp"

#include <algorithm>

#include "parallel.hpp"

namespace fusedoptim {

Plan::Plan(const std::string& rule, const std::vector<std::string>& paths, const std::vector<py::object>& weights,
           const std::vector<std::vector<py::object>>& states, bool accumulates)
    : rule(row_index(rule)), accumulates(accumulates), paths(paths), weights(weights), states(states) {
  const Signature& signature = active_table().rows[this->rule].signature;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const char* path = this->paths[i].c_str();
    const Buffer w = buffer({"params", path}, weights[i], Access::write);
    written.push_back(w);
    Part& part = parts[w.dtype];
    Span span = {{w.begin}, w.n};
    for (std::size_t k = 0; k < states[i].size(); ++k) {
      const bool is_sum = accumulates && k == 0;
      const State state = is_sum ? State{"grad_sum"} : signature.state[k - accumulates];
      const Buffer s = buffer({state.name, path}, states[i][k], Access::write, &w, state.rows);
      written.push_back(s);
      if (is_sum) part.sums.push_back({{s.begin}, w.n});
      if (state.rows) rows = double(py::len(s.array));
      span.arrays[2 + k] = s.begin;
    }
    tensors.push_back({w, part.spans.size()});
    part.spans.push_back(span);
    part.starts.push_back(part.starts.back() + w.n);
  }
  refuse_overlaps();
}

void Plan::refuse_overlaps() {
  written.erase(std::remove_if(written.begin(), written.end(), [](const Buffer& b) { return b.n == 0; }),
                written.end());
  std::sort(written.begin(), written.end(), [](const Buffer& a, const Buffer& b) { return a.begin < b.begin; });
  for (std::size_t i = 1; i < written.size(); ++i)
    if (written[i].begin < written[i - 1].end()) refuse("overlap", written[i].name.str(), written[i - 1].name.str());
}

void Plan::take_grads(const py::list& grads) {
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const Buffer& w = tensors[i].w;
    const Buffer now = buffer(w.name, w.array, Access::write);
    if (now.begin != w.begin || now.n != w.n) refuse("moved", w.name.str());
    const Buffer g = buffer({"grads", w.name.path}, grads[i], Access::read, &w);
    void*& known = parts[w.dtype].spans[tensors[i].span].arrays[1];
    if (known != g.begin && g.n > 0) {  // an address that was taken before has been checked
      // Sorted and apart from each other, so their ends are sorted too.
      const auto first = std::upper_bound(written.begin(), written.end(), g.begin,
                                          [](const char* begin, const Buffer& b) { return begin < b.end(); });
      if (first != written.end() && first->begin < g.end()) refuse("overlap", g.name.str(), first->name.str());
    }
    known = g.begin;
    if (accumulates) parts[w.dtype].sums[tensors[i].span].arrays[1] = g.begin;
  }
}

void Plan::take_hyper(const py::list& values, double* hyper) const {
  const Row& row = active_table().rows[rule];
  std::size_t next = 0;
  for (int k = 0; k < row.n_hyper; ++k) {
    const Hyper& known = row.signature.hyper[k];
    hyper[k] = known.domain == Domain::rows ? rows : hyper_value(known, values[next++]);
  }
  if (accumulates) hyper[row.n_hyper] = hyper_value({"accumulate", 1, Domain::step}, values[next]);
}

void Plan::check(const py::list& values) const {
  double hyper[max_hyper + 1];
  take_hyper(values, hyper);
}

void Plan::run_parts(const Update* update, std::vector<Span> Part::*spans, const double* hyper, int threads) const {
  const py::gil_scoped_release release;
  for (int dtype = 0; dtype < n_dtypes; ++dtype) {
    const Part& part = parts[dtype];
    run(update[dtype], {(part.*spans).data(), part.starts.data(), part.spans.size()}, hyper, threads);
  }
}

void Plan::step(const py::list& grads, const py::list& values, int threads) {
  double hyper[max_hyper + 1];
  take_hyper(values, hyper);
  take_grads(grads);
  const Row& row = active_table().rows[rule];
  run_parts(accumulates ? row.update_mean : row.update, &Part::spans, hyper, threads);
}

void Plan::accumulate(const py::list& grads, int threads) {
  take_grads(grads);
  run_parts(active_table().rows[row_index("accumulate")].update, &Part::sums, nullptr, threads);
}

}  // namespace fusedoptim
