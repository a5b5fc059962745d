// The registry of rules, sorted in order of increasing complexity.
//
// A rule is a struct with
//   name, state, hyper  its row in the table; the constructor takes the hyper-parameters in the order of `hyper`
//   scalar members      derived in double, rounded once to T
//   operator()          the paper's equations for one element: (T& w, T g, state...); a state is T&, T if it is only
//   read,
//                       Past<T>&, or Own
//
// A rule that needs sums over a tensor first measures. Over a tensor these are two passes; over a row, one.
//   measure()           of one element: (w, g, state...) as above; changes what it may, and returns the Terms whose
//                       squares are summed in float64 in a fixed order
//   settle()            (sums, n, own) -> the factor; `own` points to the number that the tensor or row keeps
//   factor              a member that has it in operator()
//
// Everything is in an anonymous namespace: a symbol shared between instruction sets would let the linker pick code
// that this CPU cannot run.
#pragma once

#include "rules/accumulate.hpp"
#include "rules/adam.hpp"
#include "rules/adamw.hpp"
#include "rules/lamb.hpp"
#include "rules/math.hpp"
#include "rules/momentum.hpp"
#include "rules/rmsprop.hpp"
#include "rules/rowwise_adagrad.hpp"
#include "rules/rowwise_adam.hpp"
#include "rules/sgd.hpp"
#include "rules/traffic.hpp"
#include "rules/window_sgd.hpp"

namespace {

template <template <class> class... Rule>
struct List {};

// clang-format off: one a line
using Rules = List<
    // helpers
    Accumulate, Traffic0, Traffic1, Traffic2,
    // optimizers
    SGD, WindowSGD, Momentum, RMSProp, Adam, AdamW, LAMB, RowWiseAdagrad, RowWiseAdam>;
// clang-format on

}  // namespace
