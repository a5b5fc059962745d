// Rules that take sums over a tensor or a row first.
#include "kernel/family.hpp"
#include "rules/cautious.hpp"
#include "rules/fromage.hpp"
#include "rules/lamb.hpp"
#include "rules/lars.hpp"
#include "rules/novograd.hpp"
#include "rules/rowwise_adagrad.hpp"
#include "rules/rowwise_adam.hpp"

FUSEDOPTIM_FAMILY(measured, CautiousAdam, CautiousAdamW, CautiousLion, Fromage, LARS, NesterovLARS, LAMB, NovoGrad,
                  RowWiseAdagrad, RowWiseAdam)
