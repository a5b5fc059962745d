// A step size for each element.
#include "kernel/family.hpp"
#include "rules/adadelta.hpp"
#include "rules/adagrad.hpp"
#include "rules/rmsprop.hpp"
#include "rules/rprop.hpp"

FUSEDOPTIM_FAMILY(adaptive, Rprop, Adagrad, Adadelta, RMSProp, RMSPropCentered, RMSPropMomentum,
                  RMSPropCenteredMomentum)
