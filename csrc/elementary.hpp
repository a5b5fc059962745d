// Powers of + - * / alone, as in python/fusedoptim/numerics/elementary.py: the C library's differ in the last bit
// between machines.
#pragma once

namespace fusedoptim {

// base^exponent for base >= 0; by repeated squaring where the exponent is whole.
double power(double base, double exponent);

}  // namespace fusedoptim
