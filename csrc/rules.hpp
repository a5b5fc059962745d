// The registry of rules, sorted in order of increasing complexity.
//
// A rule is a struct with
//   name, state, hyper  its row in the table; the constructor takes the hyper-parameters in the order of `hyper`
//   scalar members      derived in double, rounded once to T
//   operator()          the paper's equations for one element: (T& w, T g, state...), a state being T& or Past<T>&
// Everything is in an anonymous namespace: a symbol shared between instruction sets would let the linker pick code
// that this CPU cannot run.
#pragma once

#include "rules/accumulate.hpp"
#include "rules/adam.hpp"
#include "rules/adamw.hpp"
#include "rules/math.hpp"
#include "rules/momentum.hpp"
#include "rules/rmsprop.hpp"
#include "rules/sgd.hpp"
#include "rules/traffic.hpp"
#include "rules/window_sgd.hpp"

namespace {

template <template <class> class... Rule>
struct List {};

using Rules = List<
    // helpers
    Accumulate, Traffic0, Traffic1, Traffic2,
    // optimizers
    SGD, WindowSGD, Momentum, RMSProp, Adam, AdamW>;

}  // namespace
