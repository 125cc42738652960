#include "codec/penalized_path.h"

#include <algorithm>
#include <utility>

namespace helix {

Partition make_partition(const IntervalCosts& costs, std::vector<std::uint32_t> cuts) {
  Partition partition;
  partition.cuts = std::move(cuts);
  for (std::size_t i = 0; i + 1 < partition.cuts.size(); ++i) {
    partition.cost += costs.cost(partition.cuts[i], partition.cuts[i + 1]);
  }
  return partition;
}

PenalizedPath::PenalizedPath(const IntervalCosts& costs)
    : costs_(costs),
      size_(static_cast<std::uint32_t>(costs.size())),
      best_(costs.size() + 1),
      previous_(costs.size() + 1),
      queue_(costs.size() + 1) {}

// The first end at which the challenger wins, given that it loses at `lost`; size_ + 1 for never.
// Take-over points move slowly from one candidate to the next, so the search doubles its stride.
std::uint32_t PenalizedPath::first_win(std::uint32_t challenger, std::uint32_t holder,
                                       std::uint32_t lost) const {
  std::uint32_t stride = 1;
  std::uint32_t won = size_ + 1;
  while (lost < size_) {
    const std::uint32_t probe = std::min(lost + stride, size_);
    if (wins(challenger, holder, probe)) {
      won = probe;
      break;
    }
    lost = probe;
    stride *= 2;
  }
  if (won > size_) return won;
  while (won - lost > 1) {
    const std::uint32_t middle = lost + (won - lost) / 2;
    (wins(challenger, holder, middle) ? won : lost) = middle;
  }
  return won;
}

void PenalizedPath::insert(std::uint32_t from) {
  while (tail_ > head_) {
    const Candidate& back = queue_[tail_ - 1];
    const std::uint32_t end = std::max(back.start, from + 1);
    if (!wins(from, back.from, end)) {
      const std::uint32_t start = first_win(from, back.from, end);
      if (start <= size_) queue_[tail_++] = {from, start};
      return;
    }
    --tail_;
  }
  queue_[tail_++] = {from, from + 1};
}

Partition PenalizedPath::solve(double penalty) {
  head_ = tail_ = 0;
  best_[0] = 0.0;
  for (std::uint32_t end = 1; end <= size_; ++end) {
    insert(end - 1);
    while (head_ + 1 < tail_ && queue_[head_ + 1].start <= end) ++head_;
    previous_[end] = queue_[head_].from;
    best_[end] = cost_through(queue_[head_].from, end) + penalty;
  }
  std::vector<std::uint32_t> cuts;
  for (std::uint32_t cut = size_; cut > 0; cut = previous_[cut]) cuts.push_back(cut);
  cuts.push_back(0);
  std::reverse(cuts.begin(), cuts.end());
  return make_partition(costs_, std::move(cuts));
}

}  // namespace helix
