// Whether other programs, or other threads of this one, want the CPUs too.
#pragma once

namespace fusedoptim {

// As the calling thread has seen it lately. Threads that are woken for a step then displace others, such as those that
// a library of matrix products has waiting for its next product, which waits milliseconds for them.
bool is_crowded();

}  // namespace fusedoptim
