#include "touched.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

namespace fusedoptim {

namespace {

struct Touch {
  std::size_t row, at;  // the row of the table, and that of the gradient
};

template <class Index>
std::vector<Touch> touches(const Indices& rows) {
  std::vector<Touch> found(rows.n);
  const auto* index = static_cast<const Index*>(rows.data);
  for (std::size_t k = 0; k < rows.n; ++k) found[k] = {std::size_t(index[k]), k};
  return found;
}

// By row; within one, in order of appearance. Digit by digit: std::stable_sort took a fifth of the step.
void sort(std::vector<Touch>& touches, std::size_t n_rows) {
  constexpr int bits = 11;
  std::vector<Touch> sorted(touches.size());
  std::vector<std::size_t> place;
  for (int shift = 0; (n_rows - 1) >> shift > 0; shift += bits, touches.swap(sorted)) {
    const auto digit = [&](const Touch& touch) { return touch.row >> shift & ((1 << bits) - 1); };
    place.assign((1 << bits) + 1, 0);
    for (const Touch& touch : touches) ++place[digit(touch) + 1];
    for (std::size_t k = 0; k + 1 < place.size(); ++k) place[k + 1] += place[k];
    for (const Touch& touch : touches) sorted[place[digit(touch)]++] = touch;
  }
}

std::vector<Touch> sorted_touches(const Indices& rows, std::size_t n_rows) {
  auto found = rows.is_int64 ? touches<std::int64_t>(rows) : touches<std::int32_t>(rows);
  const auto before = [](const Touch& a, const Touch& b) { return a.row < b.row; };
  if (!std::is_sorted(found.begin(), found.end(), before)) sort(found, n_rows);
  return found;
}

template <class Index>
void check_range(const Name& name, const Indices& rows, std::size_t n_rows) {
  const auto* index = static_cast<const Index*>(rows.data);
  for (std::size_t k = 0; k < rows.n; ++k)
    if (index[k] < 0 || std::size_t(index[k]) >= n_rows) refuse("no_such_row", name.str(), k, index[k], n_rows);
}

char* at(void* array, std::size_t byte) { return static_cast<char*>(array) + byte; }

}  // namespace

bool can_leave_out_rows(const Rule& rule) {
  if (rule.n_hyper == 0 || rule.measures_tensors || rule.n_passes > 0) return false;
  return std::all_of(rule.signature->state, rule.signature->state + rule.n_state,
                     [](const State& state) { return state.shape == Shape::weight || state.shape == Shape::row; });
}

RowGrad row_grad(Name name, py::handle rows, const Buffer& values, const Buffer& w) {
  const RowGrad grad = {indices(name, rows), values.begin, values.item()};
  if (values.dtype != w.dtype) refuse("other_dtype", values.name.str(), values.array, w.name.str(), w.array);
  if (!has_rows_of(values.array, w.array, grad.at.n))
    refuse("other_rows", values.name.str(), values.array, w.name.str(), w.array, grad.at.n);
  const auto n_rows = std::size_t(py::len(w.array));
  if (grad.at.is_int64)
    check_range<std::int64_t>(name, grad.at, n_rows);
  else
    check_range<std::int32_t>(name, grad.at, n_rows);
  return grad;
}

void add_rows(Work& work, const Span& table, const Rule& rule, const RowGrad& grad) {
  if (table.n == 0) return;
  const std::size_t bytes = table.row * grad.item;
  const auto bytes_of_row = [&](int k) {
    const Storage storage = table.narrow == nullptr ? Storage::native : table.narrow->storage[k];
    return storage == Storage::native ? bytes : table.row * bytes_of(storage);
  };
  const auto touched = sorted_touches(grad.at, table.n / table.row);
  // The gradient of a row that comes once is read where it is; else the first is copied, and `run` adds the rest.
  char* sum = nullptr;
  work.reserve(touched.size());
  Span span = table;
  span.n = table.row;
  for (auto first = touched.begin(), next = first; first != touched.end(); first = next) {
    const auto grad_of = [&](const Touch& touch) { return grad.values + touch.at * bytes; };
    span.arrays[0] = at(table.arrays[0], first->row * bytes_of_row(0));
    span.first = first->row * table.row;
    span.arrays[1] = grad_of(*first);
    for (int k = 0; k < rule.n_state; ++k)
      span.arrays[2 + k] =
          at(table.arrays[2 + k],
             first->row * (rule.signature->state[k].shape == Shape::row ? grad.item : bytes_of_row(2 + k)));
    for (next = first + 1; next != touched.end() && next->row == first->row; ++next) {
      if (sum == nullptr) sum = work.new_sums(touched.size() / 2 * bytes);
      if (next == first + 1) span.arrays[1] = std::memcpy(std::exchange(sum, sum + bytes), grad_of(*first), bytes);
      work.add_repeat(span.arrays[1], grad_of(*next), table.row, table.dtype);
    }
    work.add(span);
  }
}

}  // namespace fusedoptim
