#include <gtest/gtest.h>

#include "codec/matrix_fixture.h"

// The same bytes everywhere: results written down once, from inputs made with integers alone. A
// deliberate change of the codec changes them; another machine, compiler or instruction set may
// not.
namespace helix {
namespace {

// Sums of twelve uniform numbers, bell-shaped, with a factor per column and a few large values.
std::vector<float> bell(std::uint64_t rows, std::uint64_t columns) {
  std::uint64_t state = 12345;
  const auto next = [&state] {
    state = state * 6364136223846793005U + 1442695040888963407U;
    return static_cast<std::int64_t>(state >> 44);
  };
  std::vector<float> values;
  for (std::uint64_t i = 0; i < rows * columns; ++i) {
    std::int64_t sum = -6 * (std::int64_t{1} << 20);
    for (int term = 0; term < 12; ++term) sum += next();
    const auto factor = static_cast<float>(1 + i % columns % 5);
    values.push_back(static_cast<float>(sum) * factor * (i % 1009 == 0 ? 4.0F : 1.0F) * 0x1p-26F);
  }
  return values;
}

class Digest {  // FNV-1a
 public:
  template <typename T>
  void add(std::span<const T> values) {
    for (const std::byte byte : std::as_bytes(values)) {
      hash_ = (hash_ ^ static_cast<std::uint64_t>(byte)) * 1099511628211U;
    }
  }
  std::uint64_t value() const { return hash_; }

 private:
  std::uint64_t hash_ = 14695981039346656037U;
};

std::uint64_t digest(const CompressedTensor& tensor) {
  Digest digest;
  digest.add(std::span(tensor.codebook));
  digest.add(tensor.indices);
  digest.add(std::span(tensor.sidecar_positions));
  digest.add(std::span(tensor.sidecar_values));
  digest.add(std::span(tensor.channel_scales));
  return digest.value();
}

TEST(EncodeBytes, AreThoseWrittenDown) {
  const std::vector<float> weights = bell(300, 400);
  const auto encoded = [&](DType dtype, const EncodeOptions& options) {
    return digest(encode(OwnedMatrix(300, 400, weights, dtype).view(), options));
  };
  EncodeOptions wide;
  wide.codebook_size = 1024;
  EXPECT_EQ(encoded(DType::kF32, {}), 9501324274190553212U);
  EXPECT_EQ(encoded(DType::kBF16, {}), 6296072217401154118U);
  EXPECT_EQ(encoded(DType::kF16, plain_options()), 4159978082861929331U);
  EXPECT_EQ(encoded(DType::kF32, wide), 13428346862134491645U);
  EXPECT_EQ(encoded(DType::kF32, counted_outliers(100)), 10785205358085142558U);
}

}  // namespace
}  // namespace helix
