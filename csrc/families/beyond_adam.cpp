// What came after Adam.
#include "kernel/family.hpp"
#include "rules/adabelief.hpp"
#include "rules/adan.hpp"
#include "rules/ademamix.hpp"
#include "rules/adopt.hpp"
#include "rules/grams.hpp"
#include "rules/schedule_free.hpp"
#include "rules/yogi.hpp"

FUSEDOPTIM_FAMILY(beyond_adam, AdaBelief, Yogi, Grams, ADOPT, AdEMAMix, Adan, ScheduleFreeAdamW)
