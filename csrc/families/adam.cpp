// Adam, and what differs from it by a line or two.
#include "rules/adam.hpp"

#include "kernel/family.hpp"
#include "rules/adam_amsgrad.hpp"
#include "rules/adamax.hpp"
#include "rules/adamaxw.hpp"
#include "rules/adamw.hpp"
#include "rules/amsgrad.hpp"
#include "rules/nadam.hpp"
#include "rules/nadamw.hpp"
#include "rules/radam.hpp"

FUSEDOPTIM_FAMILY(adam, Adam, AdamW, AdamAMSGrad, AdamWAMSGrad, AMSGrad, Adamax, AdamaxW, NAdam, NAdamDecoupled, NAdamW,
                  RAdam, RAdamDecoupled)
