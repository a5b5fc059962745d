// Not optimizers: the sum of gradients, and loops that measure the memory.
#include "accumulate.hpp"
#include "traffic.hpp"
#include "unit.hpp"

namespace fusedoptim::FUSEDOPTIM_ISA {

static constexpr Rule rules[] = {row_of<Accumulate>(),      traffic_of<Traffic0>(),   traffic_of<Traffic1>(),
                                 traffic_of<Traffic2>(),    traffic_of<Traffic3>(),   traffic_of<Traffic4>(),
                                 traffic_of<TrafficRing>(), traffic_of<TrafficRead>()};
extern const Unit helpers;
const Unit helpers = {rules, sizeof rules / sizeof *rules};

}  // namespace fusedoptim::FUSEDOPTIM_ISA
