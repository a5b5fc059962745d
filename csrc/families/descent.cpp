// Steps along the gradient, its sign, or the mean of the last few.
#include "kernel/family.hpp"
#include "rules/noisy_sgd.hpp"
#include "rules/optimistic_gradient_descent.hpp"
#include "rules/sgd.hpp"
#include "rules/sign_sgd.hpp"
#include "rules/window_sgd.hpp"

FUSEDOPTIM_FAMILY(descent, SGD, SignSGD, NoisySGD, OptimisticGradientDescent, WindowSGD)
