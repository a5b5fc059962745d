#include "mean.hpp"

#include <stdexcept>

#include "cut.hpp"
#include "isa.hpp"
#include "no_gil.hpp"
#include "threads.hpp"

namespace fusedoptim {

void write_mean(const py::object& out, const std::vector<py::object>& arrays, double count, int num_threads) {
  if (arrays.empty()) throw std::invalid_argument("at least one array");
  const Buffer to = buffer({"out"}, out, Access::write);
  std::vector<const void*> from;
  Storage storage = Storage::native;
  for (const py::object& array : arrays) {
    const Buffer x = buffer_of_any_width({"arrays"}, array, Access::read, &to);
    if (from.empty()) storage = x.storage;
    if (x.storage != storage) throw std::invalid_argument("arrays of the same bits");
    if (x.begin != to.begin && x.begin < to.end() && to.begin < x.end()) refuse("overlap", "arrays", "out");
    from.push_back(x.begin);
  }
  constexpr std::size_t line = 16;  // elements; two threads do not write the same line of a cache
  const Team team = team_of(to.n, num_threads);
  const auto mean = active_isa().driver[to.dtype].mean;
  const auto each = [&](std::size_t k, int) {
    const auto start = [&](std::size_t share) {
      return share == team.shares ? to.n : even(to.n, share, team.shares) / line * line;
    };
    mean(from.data(), from.size(), storage, {start(k), start(k + 1) - start(k)}, count, to.begin);
  };
  const NoGil no_gil;
  run(phase_of(team.shares, each), team);
}

}  // namespace fusedoptim
