#include "kernels/shape_fit.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace helix {
namespace {

constexpr int kSegment = 16;

int round_to_int(double value) { return static_cast<int>(std::lround(value)); }

// Of one segment: value = base + slope * (i % 16) + factor * shape[i % 16].
struct SegmentFit {
  int base = 0;
  int slope = 0;
  int factor = 0;
  double error = HUGE_VAL;
};

// Numbers of one segment without their weighted mean.
struct Centred {
  double mean = 0.0;
  double parts[kSegment];

  Centred(const int* numbers, const double* weights) {
    double total = 0.0;
    for (int i = 0; i < kSegment; ++i) {
      mean += weights[i] * numbers[i];
      total += weights[i];
    }
    mean /= total;
    for (int i = 0; i < kSegment; ++i) parts[i] = numbers[i] - mean;
  }
};

// Whole numbers near the least squares.
SegmentFit fit_segment(const int* wanted, const double* weights, const int* shape) {
  int counted[kSegment];
  std::iota(counted, counted + kSegment, 0);
  const Centred w(wanted, weights);
  const Centred n(counted, weights);
  const Centred s(shape, weights);
  double ww = 0.0, wn = 0.0, ws = 0.0, nn = 0.0, ns = 0.0, ss = 0.0;
  for (int i = 0; i < kSegment; ++i) {
    ww += weights[i] * w.parts[i] * w.parts[i];
    wn += weights[i] * w.parts[i] * n.parts[i];
    ws += weights[i] * w.parts[i] * s.parts[i];
    nn += weights[i] * n.parts[i] * n.parts[i];
    ns += weights[i] * n.parts[i] * s.parts[i];
    ss += weights[i] * s.parts[i] * s.parts[i];
  }
  const double determinant = nn * ss - ns * ns;
  const double best_factor = determinant > 1e-9 * nn * ss ? (nn * ws - ns * wn) / determinant : 0.0;
  SegmentFit best;
  for (const double f : {std::floor(best_factor), std::ceil(best_factor)}) {
    const double factor = std::clamp(f, 0.0, 255.0);
    const double best_slope = (wn - factor * ns) / nn;
    for (const double b : {std::floor(best_slope), std::ceil(best_slope)}) {
      const double slope = std::clamp(b, 0.0, 255.0);
      const double error = ww + slope * (slope * nn - 2.0 * wn) +
                           factor * (factor * ss - 2.0 * ws + 2.0 * slope * ns);
      if (error >= best.error) continue;
      best = {round_to_int(w.mean - slope * n.mean - factor * s.mean), static_cast<int>(slope),
              static_cast<int>(factor), error};
    }
  }
  return best;
}

// shape = numbers around their middle in 8 bits, `step` to the unit.
template <typename Number>
void set_shape(const Number* numbers, double step, int* shape) {
  const auto [lowest, highest] = std::minmax_element(numbers, numbers + kSegment);
  const double middle = 0.5 * (static_cast<double>(*lowest) + *highest);
  for (int i = 0; i < kSegment; ++i) {
    shape[i] = std::clamp(round_to_int((numbers[i] - middle) / step), -128, 127);
  }
}

// The fits of `count` segments and the shape they share, in turns. It begins as a parabola that
// opens upwards or, `bend` being negative, downwards.
void fit_half(const int* wanted, const double* weights, std::size_t count, double bend,
              SegmentFit* fits, int* shape) {
  constexpr int kTurns = 16;
  int current[kSegment];
  for (int i = 0; i < kSegment; ++i) {
    current[i] = round_to_int(bend * (2 * i - 15) * (2 * i - 15) / 225);
  }
  double least = HUGE_VAL;
  for (int turn = 0; turn < kTurns; ++turn) {
    std::array<SegmentFit, 8> found;
    double error = 0.0;
    double sums[kSegment] = {};
    double squares[kSegment] = {};
    for (std::size_t s = 0; s < count; ++s) {
      const int* values = wanted + s * kSegment;
      const double* weight = weights + s * kSegment;
      const SegmentFit& fit = found[s] = fit_segment(values, weight, current);
      error += fit.error;
      for (int i = 0; i < kSegment; ++i) {
        sums[i] += weight[i] * fit.factor * (values[i] - fit.base - fit.slope * i);
        squares[i] += weight[i] * fit.factor * fit.factor;
      }
    }
    if (error < least) {
      least = error;
      std::copy_n(found.begin(), count, fits);
      std::copy_n(current, kSegment, shape);
    }
    for (int i = 0; i < kSegment; ++i) sums[i] /= squares[i] + 1e-9;
    set_shape(sums, 1.0, current);
  }
}

// A shape of its own, after a slope that leaves little.
SegmentFit fit_end(const int* wanted, int* shape) {
  SegmentFit best;
  for (const int slope : {0, 64, 128, 255}) {
    int rest[kSegment];
    for (int i = 0; i < kSegment; ++i) rest[i] = wanted[i] - slope * i;
    const auto [lowest, highest] = std::minmax_element(rest, rest + kSegment);
    const int factor = std::clamp((*highest - *lowest + 253) / 254, 1, 255);
    if (slope > 0 && factor >= best.factor) continue;
    best = {(*lowest + *highest) / 2, slope, factor, 0.0};
    set_shape(rest, factor, shape);
  }
  return best;
}

}  // namespace

void fit_shapes(std::span<int> wanted, std::span<const double> weights, bool ends,
                std::uint8_t (&table)[8][32]) {
  std::array<SegmentFit, 16> fits;
  int shapes[4][kSegment] = {};  // of the lower and the upper half, the first and the last segment
  const std::size_t count = ends ? 7 : 8;
  const std::size_t first = 8 - count;
  const std::size_t begin = first * kSegment;
  fit_half(&wanted[begin], &weights[begin], count, -16.0, &fits[first], shapes[0]);
  fit_half(&wanted[128], &weights[128], count, 16.0, &fits[8], shapes[1]);
  if (ends) {
    fits[0] = fit_end(&wanted[0], shapes[2]);
    fits[15] = fit_end(&wanted[240], shapes[3]);
  }
  for (int i = 0; i < 256; ++i) {
    SegmentFit& fit = fits[i / kSegment];
    const int number = static_cast<std::int8_t>(i);
    if (i % kSegment == 0) fit.base -= fit.slope * number;
    const int* shape = shapes[i / 128];
    if (ends && i < kSegment) shape = shapes[2];
    if (ends && i >= 240) shape = shapes[3];
    const int products = fit.slope * number + fit.factor * shape[i % kSegment];
    wanted[i] = static_cast<std::int16_t>(fit.base + std::clamp(products, -32768, 32767));
  }
  for (int i = 0; i < kSegment; ++i) {
    const int numbers[8] = {fits[i].base & 0xff,
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
}

}  // namespace helix
