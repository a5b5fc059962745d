// Lets other Python threads run for as long as it lives.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <thread>

namespace fusedoptim {

class NoGil {
 public:
  NoGil() : state(PyEval_SaveThread()) {}
  NoGil(const NoGil&) = delete;
  NoGil& operator=(const NoGil&) = delete;

  // After the end of the interpreter, CPython ends a thread that asks for the lock, by an exception of the system's
  // that must not leave a destructor. Such a thread, a daemon, stays here until the process ends.
  ~NoGil() {
    try {
      PyEval_RestoreThread(state);
    } catch (...) {
      for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
    }
  }

 private:
  PyThreadState* const state;
};

}  // namespace fusedoptim
