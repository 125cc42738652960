#pragma once

#include <cstdint>
#include <vector>

#include "codec/interval_costs.h"

namespace helix {

// A partition of the values into runs: run i is [cuts[i], cuts[i + 1]); cuts starts with 0 and ends
// with the number of values.
struct Partition {
  std::vector<std::uint32_t> cuts;
  double cost = 0.0;  // sum of the runs' costs

  std::uint32_t run_count() const { return static_cast<std::uint32_t>(cuts.size() - 1); }
};

Partition make_partition(const IntervalCosts& costs, std::vector<std::uint32_t> cuts);

// The partition of least cost + penalty * number of runs, as a shortest path over the cuts. The
// quadrangle inequality makes a later start, once better, better for ever, so a queue of the starts
// that can still win, with a search for where each takes over, replaces trying all: O(n log n)
// (Hirschberg and Larmore, 1987; Galil and Park, 1990). Keeps its buffers from call to call; not
// for concurrent use.
class PenalizedPath {
 public:
  explicit PenalizedPath(const IntervalCosts& costs);
  Partition solve(double penalty);

 private:
  struct Candidate {
    std::uint32_t from;   // the last run starts here
    std::uint32_t start;  // best for ends from here on, until the next candidate's
  };

  double cost_through(std::uint32_t from, std::uint32_t end) const {
    return best_[from] + costs_.cost(from, end);
  }
  bool wins(std::uint32_t challenger, std::uint32_t holder, std::uint32_t end) const {
    return cost_through(challenger, end) < cost_through(holder, end);
  }
  void insert(std::uint32_t from);
  std::uint32_t first_win(std::uint32_t challenger, std::uint32_t holder, std::uint32_t lost) const;

  const IntervalCosts& costs_;
  std::uint32_t size_;
  std::vector<double> best_;
  std::vector<std::uint32_t> previous_;
  std::vector<Candidate> queue_;
  std::size_t head_ = 0;
  std::size_t tail_ = 0;
};

}  // namespace helix
