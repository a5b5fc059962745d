// The registry of rules, sorted in order of increasing complexity.
//
// A rule is a struct with
//   name, state, hyper  its row in the table; the constructor takes the hyper-parameters in the order of `hyper`
//   scalar members      derived in double, rounded once to T
//   operator()          the paper's equations for one element: (T& w, T g, state...); a state is T&, T if it is only
//   read,
//                       Unused, Past<T>&, or Own
//
// A rule that needs sums over a tensor first measures. Over a tensor these are two passes; over a row, one.
//   measure()           of one element: (w, g, state...) as above; changes what it may, and returns the Terms whose
//                       squares are summed in float64 in a fixed order
//   settle()            (sums, n, own) -> the factor; `own` points to the number that the tensor or row keeps
//   factor              a member that has it in operator()
//
// One that keeps numbers for the rows and columns of a tensor is a matrix rule: rules/matrix.hpp.
//
// Everything is in an anonymous namespace: a symbol shared between instruction sets would let the linker pick code
// that this CPU cannot run.
#pragma once

#include "rules/accumulate.hpp"
#include "rules/adabelief.hpp"
#include "rules/adadelta.hpp"
#include "rules/adafactor.hpp"
#include "rules/adagrad.hpp"
#include "rules/adam.hpp"
#include "rules/adam_amsgrad.hpp"
#include "rules/adamax.hpp"
#include "rules/adamaxw.hpp"
#include "rules/adamw.hpp"
#include "rules/adan.hpp"
#include "rules/ademamix.hpp"
#include "rules/adopt.hpp"
#include "rules/amsgrad.hpp"
#include "rules/asgd.hpp"
#include "rules/cautious.hpp"
#include "rules/fromage.hpp"
#include "rules/grams.hpp"
#include "rules/heavy_ball.hpp"
#include "rules/lamb.hpp"
#include "rules/lanes.hpp"
#include "rules/lars.hpp"
#include "rules/lion.hpp"
#include "rules/math.hpp"
#include "rules/matrix.hpp"
#include "rules/momentum.hpp"
#include "rules/muon.hpp"
#include "rules/nadam.hpp"
#include "rules/nadamw.hpp"
#include "rules/nesterov.hpp"
#include "rules/noisy_sgd.hpp"
#include "rules/novograd.hpp"
#include "rules/optimistic_gradient_descent.hpp"
#include "rules/radam.hpp"
#include "rules/rmsprop.hpp"
#include "rules/rowwise_adagrad.hpp"
#include "rules/rowwise_adam.hpp"
#include "rules/rprop.hpp"
#include "rules/schedule_free.hpp"
#include "rules/sgd.hpp"
#include "rules/sign_sgd.hpp"
#include "rules/signum.hpp"
#include "rules/sm3.hpp"
#include "rules/traffic.hpp"
#include "rules/window_sgd.hpp"
#include "rules/yogi.hpp"

namespace {

template <template <class> class... Rule>
struct List {
  static constexpr std::size_t n = sizeof...(Rule);
};

// One a line.
// clang-format off
using Rules = List<
    // helpers
    Accumulate,
    Traffic0,
    Traffic1,
    Traffic2,
    Traffic3,
    Traffic4,
    TrafficRing,
    TrafficRead,
    // optimizers
    SGD,
    SignSGD,
    NoisySGD,
    OptimisticGradientDescent,
    WindowSGD,
    Momentum,
    Nesterov,
    HeavyBall,
    NesterovMomentum,
    Signum,
    Lion,
    ScheduleFreeSGD,
    ASGD,
    Rprop,
    Adagrad,
    Adadelta,
    RMSProp,
    RMSPropCentered,
    RMSPropMomentum,
    RMSPropCenteredMomentum,
    Adam,
    AdamW,
    AdamAMSGrad,
    AdamWAMSGrad,
    AMSGrad,
    Adamax,
    AdamaxW,
    NAdam,
    NAdamDecoupled,
    NAdamW,
    RAdam,
    RAdamDecoupled,
    AdaBelief,
    Yogi,
    Grams,
    ADOPT,
    AdEMAMix,
    Adan,
    ScheduleFreeAdamW,
    CautiousAdam,
    CautiousAdamW,
    CautiousLion,
    Fromage,
    LARS,
    NesterovLARS,
    LAMB,
    NovoGrad,
    RowWiseAdagrad,
    RowWiseAdam,
    SM3,
    Adafactor,
    Muon
>;
// clang-format on

}  // namespace

namespace fusedoptim {

struct Signatures {
  Signature of[Rules::n];  // in the order of the rows
};
extern const Signatures signatures;

}  // namespace fusedoptim
