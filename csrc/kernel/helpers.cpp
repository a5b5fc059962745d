// Not optimizers: the sum of gradients, a step that is none, and loops that measure the memory.
#include "accumulate.hpp"
#include "rest.hpp"
#include "traffic.hpp"
#include "unit.hpp"

namespace fusedoptim::FUSEDOPTIM_ISA {

static constexpr Rule rules[] = {entry_of<Accumulate>(),         entry_of<Rest>(),
                                 traffic_entry_of<Traffic0>(),   traffic_entry_of<Traffic1>(),
                                 traffic_entry_of<Traffic2>(),   traffic_entry_of<Traffic3>(),
                                 traffic_entry_of<Traffic4>(),   traffic_entry_of<TrafficRing>(),
                                 traffic_entry_of<TrafficRead>()};
extern const Unit helpers;
const Unit helpers = {rules, sizeof rules / sizeof *rules};

}  // namespace fusedoptim::FUSEDOPTIM_ISA
