#include "codec/value_histogram.h"

#include <algorithm>
#include <array>
#include <bit>
#include <optional>

#include "codec/cube_root.h"

namespace helix {
namespace {

constexpr std::uint32_t kSign = 0x80000000U;

std::uint32_t bits_of(float value) { return std::bit_cast<std::uint32_t>(value); }

// Distinct bit patterns and their counts, up to a limit: open addressing, at most half full.
class DistinctCounter {
 public:
  explicit DistinctCounter(std::size_t limit)
      : limit_(limit), mask_(std::bit_ceil(2 * limit + 2) - 1), slots_(mask_ + 1) {}

  // False once there are more than the limit.
  bool add(std::span<const float> values) {
    for (const float value : values) {
      if (!add(value == 0.0F ? 0U : bits_of(value))) return false;
    }
    return true;
  }

  ValueHistogram histogram() const {
    std::vector<std::pair<float, std::uint64_t>> sorted;
    for (const Slot& slot : slots_) {
      if (slot.count > 0) sorted.emplace_back(std::bit_cast<float>(slot.bits), slot.count);
    }
    std::sort(sorted.begin(), sorted.end());
    ValueHistogram histogram;
    for (const auto& [value, count] : sorted) {
      histogram.push(value, static_cast<double>(count), value, value);
    }
    return histogram;
  }

 private:
  struct Slot {
    std::uint32_t bits = 0;
    std::uint64_t count = 0;
  };

  bool add(std::uint32_t bits) {
    std::size_t at = (bits * 0x9e3779b1U >> 7) & mask_;
    while (slots_[at].count > 0 && slots_[at].bits != bits) at = (at + 1) & mask_;
    slots_[at].bits = bits;
    return slots_[at].count++ > 0 || ++used_ <= limit_;
  }

  std::size_t limit_;
  std::size_t mask_;
  std::size_t used_ = 0;
  std::vector<Slot> slots_;
};

// Counts and sums of the lower bits per upper-bits pattern. Both live in one word, so that an
// element is one addition; the words are emptied into wide sums before the count could overflow.
class BinCounter {
 public:
  explicit BinCounter(int bin_bits)
      : low_bits_(32 - bin_bits), words_(std::size_t{1} << bin_bits) {}

  void add(std::span<const float> values) {
    if (pending_ + values.size() > kFlushCount) flush();
    pending_ += values.size();
    const int shift = low_bits_;
    const std::uint32_t low_mask = (1U << shift) - 1;
    std::uint64_t* words = words_.data();
    for (const float value : values) {
      const std::uint32_t bits = bits_of(value);
      words[bits >> shift] += kOne | (bits & low_mask);
    }
  }

  ValueHistogram histogram() {
    ValueHistogram histogram;
    const auto sign_bin = static_cast<std::uint32_t>(words_.size() / 2);
    for (std::uint32_t bin = sign_bin; bin-- > 0;) append(histogram, bin + sign_bin);
    for (std::uint32_t bin = 0; bin < sign_bin; ++bin) append(histogram, bin);
    return histogram;
  }

 private:
  // 26 bits of count above 38 bits of sum: 2^26 elements of at most 12 low bits fit.
  static constexpr std::uint64_t kOne = std::uint64_t{1} << 38;
  static constexpr std::uint64_t kFlushCount = (std::uint64_t{1} << 26) - 1;

  struct Total {
    std::uint64_t count = 0;
    std::uint64_t low_sum = 0;
  };

  static Total unpack(std::uint64_t word) { return {word >> 38, word & (kOne - 1)}; }

  void flush() {
    totals_.resize(words_.size());
    for (std::size_t bin = 0; bin < words_.size(); ++bin) {
      const Total part = unpack(words_[bin]);
      totals_[bin].count += part.count;
      totals_[bin].low_sum += part.low_sum;
      words_[bin] = 0;
    }
    pending_ = 0;
  }

  void append(ValueHistogram& histogram, std::uint32_t bin) const {
    Total total = unpack(words_[bin]);
    if (!totals_.empty()) {
      total.count += totals_[bin].count;
      total.low_sum += totals_[bin].low_sum;
    }
    if (total.count == 0) return;
    const std::uint32_t first = bin << low_bits_;
    const float inner = std::bit_cast<float>(first);  // nearest to zero
    const float outer = std::bit_cast<float>(first | ((1U << low_bits_) - 1));
    const double spacing = static_cast<double>(std::bit_cast<float>(first + 1)) - inner;
    const auto count = static_cast<double>(total.count);
    const double mean = inner + spacing * (static_cast<double>(total.low_sum) / count);
    const bool negative = (first & kSign) != 0;
    histogram.push(mean == 0.0 ? 0.0 : mean, count, negative ? outer : inner,
                   negative ? inner : outer);
  }

  int low_bits_;
  std::uint64_t pending_ = 0;
  std::vector<std::uint64_t> words_;
  std::vector<Total> totals_;  // empty until a flush
};

bool has_16_bits(const MatrixBlocks& blocks) {
  const DType dtype = blocks.matrix().dtype;
  return (dtype == DType::kBF16 || dtype == DType::kF16) && blocks.scales().empty();
}

std::optional<ValueHistogram> distinct_values(const MatrixBlocks& blocks, std::size_t limit) {
  DistinctCounter counter(limit);
  bool few = true;
  blocks.for_each([&](std::uint64_t, std::span<const float> values) {
    few = few && counter.add(values);
    return few;
  });
  if (!few) return std::nullopt;
  return counter.histogram();
}

// Least share per point so that about `target` points result; no point counts for more than one,
// however far away it lies. Each step lowers the share, to a fixed point.
double share_per_point(std::span<const double> shares, std::size_t target) {
  double step = 0.0;
  for (const double share : shares) step += share;
  step /= static_cast<double>(target);
  for (int round = 0; round < 64; ++round) {
    double rest = 0.0;
    std::size_t large = 0;
    for (const double share : shares) {
      if (share >= step) {
        ++large;
      } else {
        rest += share;
      }
    }
    const double next = rest / static_cast<double>(target - std::min(large, target - 1));
    if (!(next < step) || !(next > 0.0)) break;
    step = next;
  }
  return step;
}

}  // namespace

void ValueHistogram::push(double value, double count, float low, float high) {
  if (!values.empty() && value == values.back()) {  // the two zeros
    counts.back() += count;
    highs.back() = high;
    return;
  }
  values.push_back(value);
  counts.push_back(count);
  lows.push_back(low);
  highs.push_back(high);
}

ValueHistogram make_histogram(const MatrixBlocks& blocks, std::uint32_t codebook_size,
                              std::size_t exact_limit) {
  if (!has_16_bits(blocks)) {
    if (auto exact = distinct_values(blocks, exact_limit)) return *std::move(exact);
  }
  BinCounter counter(codebook_size <= 256 || has_16_bits(blocks) ? 20 : 22);
  blocks.for_each([&](std::uint64_t, std::span<const float> values) {
    counter.add(values);
    return true;
  });
  return counter.histogram();
}

ValueHistogram coarsen(const ValueHistogram& histogram, std::size_t target) {
  if (histogram.size() <= target) return histogram;
  std::vector<double> shares(histogram.size());
  for (std::size_t i = 1; i < shares.size(); ++i) {
    const double gap = histogram.values[i] - histogram.values[i - 1];
    shares[i] = cube_root(0.5 * (histogram.counts[i] + histogram.counts[i - 1]) * gap * gap);
  }
  const double step = share_per_point(shares, target);
  ValueHistogram result;
  double filled = 0.0;
  double sum = 0.0;
  double count = 0.0;
  std::size_t begin = 0;
  const auto close = [&](std::size_t end) {
    const double mean = end - begin == 1 ? histogram.values[begin] : sum / count;
    result.push(mean, count, histogram.lows[begin], histogram.highs[end - 1]);
    begin = end;
    sum = count = 0.0;
  };
  for (std::size_t i = 0; i < histogram.size(); ++i) {
    filled += std::min(shares[i], step);
    if (i > 0 && filled >= step) {
      close(i);
      filled -= step;
    }
    sum += histogram.counts[i] * histogram.values[i];
    count += histogram.counts[i];
  }
  close(histogram.size());
  return result;
}

}  // namespace helix
