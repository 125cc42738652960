#include "kernels/shape_fit.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

namespace helix {
namespace {

constexpr int kSegment = 16;

// To the nearest whole number, of less than 2^51, without a call.
double rounded(double value) {
  constexpr double kRound = 6755399441055744.0;  // 1.5 * 2^52
  return (value + kRound) - kRound;
}

int round_to_int(double value) { return static_cast<int>(rounded(value)); }

// Of one segment: value = base + slope * n + factor * shape[i % 16], where n is i as a signed byte.
struct SegmentFit {
  int base = 0;
  int slope = 1;
  int factor = 0;
  double error = HUGE_VAL;
};

// A slope and a factor, whole numbers near the least squares; the base that suits them best and the
// error that it would leave.
struct Choice {
  int slope;
  int factor;
  double base;
  double error;
};

// 16 numbers to be fitted, and their weighted sums.
struct Segment {
  const int* wanted;
  const double* weights;
  int first;  // n of the first
  double total = 0.0;
  double mean = 0.0;
  double mean_n = 0.0;
  double ww = 0.0;  // without the means
  double wn = 0.0;
  double nn = 0.0;

  Segment(const int* from, const double* weights_from, int first_n)
      : wanted(from), weights(weights_from), first(first_n) {
    for (int i = 0; i < kSegment; ++i) {
      total += weights[i];
      mean += weights[i] * wanted[i];
      mean_n += weights[i] * (first + i);
    }
    mean /= total;
    mean_n /= total;
    for (int i = 0; i < kSegment; ++i) {
      const double w = wanted[i] - mean;
      const double n = first + i - mean_n;
      ww += weights[i] * w * w;
      wn += weights[i] * w * n;
      nn += weights[i] * n * n;
    }
  }

  // Calls use(Choice) for `slopes` whole numbers on each side of the best slope and `factors` of
  // the best factor.
  template <typename Use>
  void for_choices(const int* shape, int slopes, int factors, const Use& use) const {
    double mean_s = 0.0;
    for (int i = 0; i < kSegment; ++i) mean_s += weights[i] * shape[i];
    mean_s /= total;
    double ws = 0.0;
    double ns = 0.0;
    double ss = 0.0;
    for (int i = 0; i < kSegment; ++i) {
      const double s = shape[i] - mean_s;
      ws += weights[i] * (wanted[i] - mean) * s;
      ns += weights[i] * (first + i - mean_n) * s;
      ss += weights[i] * s * s;
    }
    const double determinant = nn * ss - ns * ns;
    const double best = determinant > 1e-9 * nn * ss ? (nn * ws - ns * wn) / determinant : 0.0;
    for_near(best, factors, 0, [&](int factor) {
      for_near((wn - factor * ns) / nn, slopes, 1, [&](int slope) {
        const double error = ww + slope * (slope * nn - 2.0 * wn) +
                             factor * (factor * ss - 2.0 * ws + 2.0 * slope * ns);
        use(Choice{slope, factor, mean - slope * mean_n - factor * mean_s, error});
      });
    });
  }

 private:
  template <typename Use>
  static void for_near(double value, int reach, int least, const Use& use) {
    const int below = static_cast<int>(std::floor(std::clamp(value, -1.0, 256.0)));
    const int last = std::clamp(below + reach, least, 255);
    for (int i = std::clamp(below - reach + 1, least, 255); i <= last; ++i) use(i);
  }
};

int round_to_byte(double value) { return round_to_int(std::clamp(value, -128.0, 127.0)); }

// The segments that share a shape, and what has been found for them.
class HalfFit {
 public:
  // `shifts`: every base is to be a multiple of its slope.
  HalfFit(const int* wanted, const double* weights, int first, int count, bool shifts)
      : shifts_(shifts), fits_(static_cast<std::size_t>(count)) {
    for (int s = 0; s < count; ++s) {
      const int begin = s * kSegment;
      segments_.emplace_back(wanted + begin, weights + begin, first + begin);
    }
  }

  // Segments and shape in turns. The shape begins as a parabola that opens upwards or, `bend` being
  // negative, downwards. Keeps the best that was ever found.
  void improve(int turns, double bend) {
    int shape[kSegment];
    for (int i = 0; i < kSegment; ++i) {
      shape[i] = round_to_int(bend * (2 * i - 15) * (2 * i - 15) / 225.0);
    }
    for (int turn = 0; turn < turns; ++turn) {
      if (shifts_ && turn % 5 == 0) raise(shape);
      std::vector<SegmentFit> found;
      double error = 0.0;
      double sums[kSegment] = {};
      double squares[kSegment] = {};
      for (const Segment& segment : segments_) {
        const SegmentFit& fit = found.emplace_back(fit_segment(segment, shape));
        error += fit.error;
        for (int i = 0; i < kSegment; ++i) {
          const int line = fit.base + fit.slope * (segment.first + i);
          sums[i] += segment.weights[i] * fit.factor * (segment.wanted[i] - line);
          squares[i] += segment.weights[i] * fit.factor * fit.factor;
        }
      }
      if (error < error_) {
        error_ = error;
        fits_ = std::move(found);
        std::copy_n(shape, kSegment, shape_);
      }
      for (int i = 0; i < kSegment; ++i) shape[i] = round_to_byte(sums[i] / (squares[i] + 1e-9));
    }
  }

  const std::vector<SegmentFit>& fits() const { return fits_; }
  const int* shape() const { return shape_; }

 private:
  static constexpr int kFarthest = 64;

  template <typename Use>
  void for_choices(const Segment& segment, const int* shape, const Use& use) const {
    segment.for_choices(shape, shifts_ ? 2 : 1, shifts_ ? 3 : 1, use);
  }

  SegmentFit fit_segment(const Segment& segment, const int* shape) const {
    SegmentFit best;
    const int last = segment.first + kSegment - 1;
    for_choices(segment, shape, [&](const Choice& choice) {
      int base = round_to_int(choice.base);
      if (shifts_) {
        const int shift = round_to_int(choice.base / choice.slope);
        base = choice.slope * std::clamp(shift, -128 - segment.first, 127 - last);
      }
      const double off = choice.base - base;
      const double error = choice.error + segment.total * off * off;
      if (error < best.error) best = {base, choice.slope, choice.factor, error};
    });
    return best;
  }

  // Adds to all of the shape what brings the bases closest to multiples of the slopes. In F32,
  // because this loop is most of the work.
  void raise(int* shape) const {
    const auto [lowest, highest] = std::minmax_element(shape, shape + kSegment);
    const int begin = std::max(-kFarthest, -128 - *lowest);
    const int count = std::min(kFarthest, 127 - *highest) - begin + 1;
    float errors[2 * kFarthest + 1] = {};
    for (const Segment& segment : segments_) {
      float least[2 * kFarthest + 1];
      std::fill_n(least, count, HUGE_VALF);
      for_choices(segment, shape, [&](const Choice& choice) {
        constexpr float kRound = 3 << 22;  // added and taken away again
        const auto slope = static_cast<float>(choice.slope);
        const auto factor = static_cast<float>(choice.factor);
        const float base = static_cast<float>(choice.base) - factor * static_cast<float>(begin);
        const auto error = static_cast<float>(choice.error);
        const auto total = static_cast<float>(segment.total);
        const float inverse = 1.0F / slope;
        for (int i = 0; i < count; ++i) {
          const float rest = base - factor * static_cast<float>(i);
          const float off = rest - slope * ((rest * inverse + kRound) - kRound);
          least[i] = std::min(least[i], error + total * off * off);
        }
      });
      for (int i = 0; i < count; ++i) errors[i] += least[i];
    }
    const int best = begin + static_cast<int>(std::min_element(errors, errors + count) - errors);
    for (int i = 0; i < kSegment; ++i) shape[i] += best;
  }

  bool shifts_;
  std::vector<Segment> segments_;
  std::vector<SegmentFit> fits_;
  int shape_[kSegment] = {};
  double error_ = HUGE_VAL;
};

// A shape of its own, after a slope that leaves little. `first` is n of the first number.
SegmentFit fit_end(const int* wanted, int first, int* shape) {
  SegmentFit best;
  for (const int slope : {0, 64, 128, 255}) {
    int rest[kSegment];
    for (int i = 0; i < kSegment; ++i) rest[i] = wanted[i] - slope * (first + i);
    const auto [lowest, highest] = std::minmax_element(rest, rest + kSegment);
    const int factor = std::clamp((*highest - *lowest + 253) / 254, 1, 255);
    if (slope > 0 && factor >= best.factor) continue;
    const int base = (*lowest + *highest) / 2;
    best = {base, slope, factor, 0.0};
    for (int i = 0; i < kSegment; ++i) {
      shape[i] = round_to_byte(static_cast<double>(rest[i] - base) / factor);
    }
  }
  return best;
}

}  // namespace

bool fit_shapes(TableForm form, std::span<int> wanted, std::span<const double> weights,
                std::uint8_t (&table)[8][32]) {
  const bool shifts = form == TableForm::kShifts;
  const bool ends = form == TableForm::kShapesAndEnds;
  std::array<SegmentFit, 16> fits;
  int shapes[4][kSegment] = {};  // of the lower and the upper half, the first and the last segment
  for (const int half : {0, 1}) {
    const int count = ends ? 7 : 8;
    const int begin = half == 0 && ends ? kSegment : 128 * half;
    HalfFit fit(&wanted[begin], &weights[begin], static_cast<std::int8_t>(begin), count, shifts);
    if (shifts) {
      fit.improve(10, half == 0 ? -6.0 : 6.0);
      fit.improve(10, half == 0 ? -12.0 : 12.0);
    } else {
      fit.improve(16, half == 0 ? -16.0 : 16.0);
    }
    std::copy_n(fit.fits().begin(), count, &fits[begin / kSegment]);
    std::copy_n(fit.shape(), kSegment, shapes[half]);
  }
  if (ends) {
    fits[0] = fit_end(&wanted[0], 0, shapes[2]);
    fits[15] = fit_end(&wanted[240], -kSegment, shapes[3]);
  }
  bool possible = true;
  for (int i = 0; i < 256; ++i) {
    const SegmentFit& fit = fits[i / kSegment];
    const int* shape = shapes[i / 128];
    if (ends && i < kSegment) shape = shapes[2];
    if (ends && i >= 240) shape = shapes[3];
    const int line = fit.slope * static_cast<std::int8_t>(i) + (shifts ? fit.base : 0);
    const int products = line + fit.factor * shape[i % kSegment];
    if (products < -32768 || products > 32767) possible = false;
    wanted[i] = shifts ? products : static_cast<std::int16_t>(fit.base + products);
  }
  for (int i = 0; i < kSegment; ++i) {
    const int numbers[8] = {shifts ? fits[i].base / fits[i].slope : fits[i].base,
                            fits[i].base >> 8,
                            fits[i].slope,
                            fits[i].factor,
                            shapes[0][i],
                            shapes[1][i],
                            ends ? shapes[0][i] ^ shapes[2][i] : 0,
                            ends ? shapes[1][i] ^ shapes[3][i] : 0};
    for (int row = 0; row < 8; ++row) {
      const auto byte = static_cast<std::uint8_t>(numbers[row]);
      table[row][i] = table[row][kSegment + i] = byte;
    }
  }
  return possible;
}

}  // namespace helix
