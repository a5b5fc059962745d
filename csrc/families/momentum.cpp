// Running averages and sums of the gradient.
#include "rules/momentum.hpp"

#include "kernel/family.hpp"
#include "rules/asgd.hpp"
#include "rules/heavy_ball.hpp"
#include "rules/lion.hpp"
#include "rules/nesterov.hpp"
#include "rules/schedule_free.hpp"
#include "rules/signum.hpp"

FUSEDOPTIM_FAMILY(momentum, Momentum, Nesterov, HeavyBall, NesterovMomentum, Signum, Lion, ScheduleFreeSGD, ASGD)
