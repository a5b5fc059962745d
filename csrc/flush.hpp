// The floating-point mode of a step: subnormal numbers count as zero, for the averages of a dead unit decay into them
// and would be tens of times slower. The rest is the default, whatever the mode of the thread: to nearest, no traps.
#pragma once

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace fusedoptim {

// Sets the mode of this thread, and in the end the one before. What computes in between must be another object file's:
// a compiler may move arithmetic across.
class FlushSubnormals {
 public:
  FlushSubnormals() : before(get()) { set(flush); }
  ~FlushSubnormals() { set(before); }
  FlushSubnormals(const FlushSubnormals&) = delete;
  FlushSubnormals& operator=(const FlushSubnormals&) = delete;

 private:
#if defined(__SSE2__)
  using Mode = unsigned;
  static constexpr Mode flush = 0x1f80 | 0x8040;  // MXCSR: the default, flush to zero, denormals are zero
  static Mode get() { return _mm_getcsr(); }
  static void set(Mode mode) { _mm_setcsr(mode); }
#elif defined(__aarch64__)
  using Mode = unsigned long;
  static constexpr Mode flush = 1ul << 24;  // FPCR.FZ
  static Mode get() {
    Mode mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
  }
  static void set(Mode mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode)); }
#else
#error "fusedoptim runs on x86-64 and aarch64: elsewhere it does not know how to flush subnormal numbers"
#endif
  Mode before;
};

}  // namespace fusedoptim
