// A gradient of some rows of a table, such as of embeddings: a span for each row that it touches.
#pragma once

#include "arrays.hpp"
#include "cut.hpp"

namespace fusedoptim {

// The gradients of the rows `at` of a table, one after the other. A row may come more than once.
struct RowGrad {
  Indices at;
  char* values;
  std::size_t item;  // bytes of an element
};

// Whether a rule can leave out rows: it keeps nothing but numbers of an element or of a row.
bool can_leave_out_rows(const Rule& rule);

// Refuses indices that are no rows of the weight, and values that are not one of its rows for each.
RowGrad row_grad(Name name, py::handle rows, const Buffer& values, const Buffer& w);

// Adds the touched rows of `table`, the span of the whole weight, in ascending order.
void add_rows(Work& work, const Span& table, const Rule& rule, const RowGrad& grad);

}  // namespace fusedoptim
