// Rules that know the axes of a tensor.
#include "kernel/family.hpp"
#include "rules/adafactor.hpp"
#include "rules/muon.hpp"
#include "rules/sm3.hpp"

FUSEDOPTIM_FAMILY(matrix, SM3, Adafactor, Muon)
