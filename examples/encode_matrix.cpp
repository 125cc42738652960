// Encodes a Gaussian matrix with 256 levels and says what the codes cost and lose.

#include <cstdio>
#include <random>
#include <span>
#include <vector>

#include "helix/codec.h"
#include "helix/error.h"

int main() try {
  std::mt19937 generator(1);
  std::normal_distribution<float> gaussian(0.0F, 0.02F);
  std::vector<float> weights(std::size_t{512} * 2048);
  for (float& weight : weights) weight = gaussian(generator);
  const helix::TensorView matrix{
      .dtype = helix::DType::kF32, .shape = {512, 2048}, .data = std::as_bytes(std::span(weights))};

  const helix::CompressedTensor tensor =
      helix::encode(matrix, {.outliers = {.kind = helix::OutlierPolicy::Kind::kNone},
                             .column_scales = helix::ColumnScales::kNone});
  const helix::Metrics metrics = helix::measure(tensor, matrix);
  std::printf("%zu levels, %.3f bits per weight, SNR %.2f dB\n",
              static_cast<std::size_t>(tensor.codebook_size()), metrics.bits_per_weight(),
              metrics.snr_db());
  return 0;
} catch (const helix::Error& error) {
  std::fprintf(stderr, "%s: %s\n", helix::error_code_name(error.code()), error.what());
  return 1;
}
