#include "helix/compressed_tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/testing/expect_error.h"

namespace helix {
namespace {

using testing::expect_error;

// Owns the index bytes of the tensor it makes.
struct Made {
  std::vector<std::byte> bytes;
  CompressedTensor tensor;
};

Made make(std::uint64_t rows, std::uint64_t columns, const std::vector<float>& codebook,
          const std::vector<std::uint16_t>& indices, IndexFormat format = IndexFormat::kU8,
          std::uint32_t vector_size = 1) {
  Made made;
  made.bytes.resize(index_bytes(format, indices.size()));
  write_indices(indices, format, made.bytes);
  made.tensor.rows = rows;
  made.tensor.columns = columns;
  made.tensor.vector_size = vector_size;
  made.tensor.codebook = codebook;
  made.tensor.index_format = format;
  made.tensor.indices = made.bytes;
  return made;
}

// (2, 3) with four levels.
Made small() { return make(2, 3, {-1.0F, 0.0F, 0.5F, 2.0F}, {0, 1, 2, 3, 2, 1}); }

std::vector<float> decoded(const CompressedTensor& tensor) {
  std::vector<float> weights(tensor.rows * tensor.columns);
  decode_rows(tensor, 0, weights);
  return weights;
}

void expect_corrupt(const CompressedTensor& tensor, const std::string& part) {
  expect_error(ErrorCode::kCorruptData, "layer: " + part, [&] { validate(tensor, "layer"); });
}

TEST(IndexBytes, follow_the_format) {
  EXPECT_EQ(index_bytes(IndexFormat::kU8, 7), 7U);
  EXPECT_EQ(index_bytes(IndexFormat::kU16, 7), 14U);
  EXPECT_EQ(index_bytes(IndexFormat::kPacked12, 8), 12U);
  expect_error(ErrorCode::kInvalidArgument, "odd number",
               [] { index_bytes(IndexFormat::kPacked12, 7); });
}

// docs/format.md: (a, b) -> a & 0xff, (a >> 8) | ((b & 0xf) << 4), b >> 4.
TEST(Packing, lies_in_memory_as_the_format_page_says) {
  const Made made = make(1, 4, {0.0F}, {0xabc, 0x123, 0xfff, 0}, IndexFormat::kPacked12);
  const std::vector<std::byte> expected = {std::byte{0xbc}, std::byte{0x3a}, std::byte{0x12},
                                           std::byte{0xff}, std::byte{0x0f}, std::byte{0x00}};
  EXPECT_EQ(made.bytes, expected);
}

TEST(Packing, sixteen_bits_are_little_endian) {
  const Made made = make(1, 1, {0.0F}, {0x1234}, IndexFormat::kU16);
  EXPECT_EQ(made.bytes, std::vector<std::byte>({std::byte{0x34}, std::byte{0x12}}));
}

TEST(Packing, every_index_comes_back_from_every_position) {
  for (const IndexFormat format : {IndexFormat::kU8, IndexFormat::kPacked12, IndexFormat::kU16}) {
    const unsigned limit = format == IndexFormat::kU8 ? 256 : 4096;
    std::vector<std::uint16_t> indices(limit);
    for (unsigned i = 0; i < limit; ++i) indices[i] = static_cast<std::uint16_t>(i * 37 % limit);
    const Made made = make(1, limit, {0.0F}, indices, format);
    for (std::size_t begin = 0; begin < 5; ++begin) {
      for (const std::size_t count :
           {std::size_t{0}, std::size_t{1}, std::size_t{2}, limit - begin}) {
        std::vector<std::uint16_t> read(count);
        read_indices(made.tensor, begin, read);
        ASSERT_TRUE(
            std::equal(read.begin(), read.end(), indices.begin() + static_cast<long>(begin)))
            << static_cast<int>(format) << ", " << begin << ", " << count;
      }
    }
  }
}

TEST(Decode, looks_up_the_codebook) {
  const Made made = small();
  validate(made.tensor, "layer");
  EXPECT_EQ(decoded(made.tensor), std::vector<float>({-1.0F, 0.0F, 0.5F, 2.0F, 0.5F, 0.0F}));
  std::vector<float> last_row(3);
  decode_rows(made.tensor, 1, last_row);
  EXPECT_EQ(last_row, std::vector<float>({2.0F, 0.5F, 0.0F}));
}

TEST(Decode, reads_vectors_of_several_weights) {
  const Made made = make(2, 4, {1, 2, 3, 4, 5, 6}, {0, 2, 1, 1}, IndexFormat::kU8, 2);
  validate(made.tensor, "layer");
  EXPECT_EQ(decoded(made.tensor), std::vector<float>({1, 2, 5, 6, 3, 4, 3, 4}));
}

// Three index columns: the second row begins in the middle of a packed pair.
TEST(Decode, rows_may_begin_inside_a_packed_pair) {
  std::vector<float> codebook(300);
  for (std::size_t i = 0; i < codebook.size(); ++i) codebook[i] = static_cast<float>(i);
  const Made made = make(2, 3, codebook, {299, 1, 256, 7, 255, 298}, IndexFormat::kPacked12);
  validate(made.tensor, "layer");
  std::vector<float> last_row(3);
  decode_rows(made.tensor, 1, last_row);
  EXPECT_EQ(last_row, std::vector<float>({7, 255, 298}));
}

TEST(Decode, a_sidecar_value_replaces_its_weight) {
  Made made = small();
  made.tensor.sidecar_positions = {0, 3, 5};
  made.tensor.sidecar_values = {100.0F, 1e5F, -7.0F};
  validate(made.tensor, "layer");
  EXPECT_EQ(decoded(made.tensor), std::vector<float>({100.0F, 0.0F, 0.5F, 1e5F, 0.5F, -7.0F}));
  std::vector<float> last_row(3);
  decode_rows(made.tensor, 1, last_row);
  EXPECT_EQ(last_row, std::vector<float>({1e5F, 0.5F, -7.0F}));
}

// Outlier first, then the low-rank part on top, then the division by the scales.
TEST(Decode, applies_the_parts_in_the_order_of_the_format) {
  Made made = small();
  made.tensor.sidecar_positions = {4};
  made.tensor.sidecar_values = {10.0F};
  made.tensor.svd_rank = 1;
  made.tensor.svd_u = {1.0F, 2.0F};
  made.tensor.svd_s = {0.5F};
  made.tensor.svd_vt = {2.0F, 4.0F, 8.0F};
  made.tensor.channel_scales = {1.0F, 2.0F, 4.0F};
  validate(made.tensor, "layer");
  std::vector<float> stored(6);
  decode_stored_rows(made.tensor, 0, stored);
  EXPECT_EQ(stored, std::vector<float>({0.0F, 2.0F, 4.5F, 4.0F, 14.0F, 8.0F}));
  EXPECT_EQ(decoded(made.tensor), std::vector<float>({0.0F, 1.0F, 1.125F, 4.0F, 7.0F, 2.0F}));
}

TEST(Decode, a_matrix_without_weights_is_valid) {
  for (const auto& [rows, columns] : {std::pair{0, 5}, std::pair{5, 0}, std::pair{0, 0}}) {
    const Made made =
        make(static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(columns), {0.0F}, {});
    validate(made.tensor, "layer");
    EXPECT_TRUE(decoded(made.tensor).empty());
  }
}

TEST(StoredBytes, count_every_part) {
  Made made = small();
  EXPECT_EQ(made.tensor.stored_bytes(), 4U * 4 + 6);
  made.tensor.sidecar_positions = {1, 2};
  made.tensor.sidecar_values = {1.0F, 2.0F};
  EXPECT_EQ(made.tensor.stored_bytes(), 4U * 4 + 6 + 2 * 12);
  made.tensor.channel_scales = {1.0F, 1.0F, 1.0F};
  EXPECT_EQ(made.tensor.stored_bytes(), 4U * 4 + 6 + 2 * 12 + 3 * 4);
}

TEST(Validate, refuses_an_index_past_the_codebook) {
  Made made = make(1, 5000, {1.0F, 2.0F}, std::vector<std::uint16_t>(5000, 1));
  validate(made.tensor, "layer");
  made.bytes[4999] = std::byte{2};
  expect_corrupt(made.tensor, "index 2 at position 4999, expected less than the codebook's 2");
}

TEST(Validate, accepts_every_byte_where_the_codebook_has_256_entries) {
  Made made = make(1, 2, std::vector<float>(256, 1.0F), {255, 0});
  EXPECT_NO_THROW(validate(made.tensor, "layer"));
  made.tensor.codebook.pop_back();
  expect_corrupt(made.tensor, "index 255 at position 0");
}

TEST(Validate, refuses_indices_of_the_wrong_length) {
  Made made = small();
  made.tensor.indices = std::span(made.bytes).first(5);
  expect_corrupt(made.tensor, "indices take 5 bytes, expected 6");
  made.tensor.index_format = IndexFormat::kU16;
  expect_corrupt(made.tensor, "indices take 5 bytes, expected 12");
  made.tensor.index_format = IndexFormat::kPacked12;
  made.tensor.columns = 1;
  expect_corrupt(made.tensor, "indices take 5 bytes, expected 3");
  made.tensor.rows = 3;
  expect_corrupt(made.tensor, "3 indices packed to 12 bits, expected an even number");
}

TEST(Validate, refuses_a_codebook_that_is_none) {
  Made made = small();
  made.tensor.codebook[2] = std::numeric_limits<float>::quiet_NaN();
  expect_corrupt(made.tensor, "codebook entry 2 is nan");
  made.tensor.codebook = {};
  expect_corrupt(made.tensor, "codebook of 0 numbers");
  made.tensor.codebook = {1.0F, 2.0F, 3.0F, 4.0F};
  made.tensor.vector_size = 3;
  expect_corrupt(made.tensor, "codebook of 4 numbers does not make vectors of 3");
  made.tensor.vector_size = 2;
  expect_corrupt(made.tensor, "3 columns cannot be divided into vectors of 2");
  made.tensor.vector_size = 0;
  expect_corrupt(made.tensor, "3 columns cannot be divided into vectors of 0");
}

// In 64 bits 2 * 2^63 index bytes are none at all.
TEST(Validate, refuses_shapes_whose_bytes_would_wrap) {
  Made made = make(0, 0, {1.0F}, {}, IndexFormat::kU16);
  made.tensor.rows = std::uint64_t{1} << 63;
  made.tensor.columns = 1;
  expect_corrupt(made.tensor, "shape [9223372036854775808, 1] has more than 2^62 weights");
  made.tensor.columns = 4;
  expect_corrupt(made.tensor, "shape [9223372036854775808, 4] has more than 2^62 weights");
}

TEST(Validate, refuses_a_sidecar_that_does_not_fit) {
  Made made = small();
  const auto refuse = [&](std::vector<std::int64_t> positions, std::vector<float> values,
                          const std::string& part) {
    made.tensor.sidecar_positions = std::move(positions);
    made.tensor.sidecar_values = std::move(values);
    expect_corrupt(made.tensor, part);
  };
  refuse({1, 2}, {1.0F}, "2 sidecar positions but 1 values");
  refuse({6}, {1.0F}, "sidecar position 6 lies outside the 6 weights");
  refuse({-1}, {1.0F}, "sidecar position -1 lies outside");
  refuse({3, 2}, {1.0F, 1.0F}, "sidecar position 2 follows 3");
  refuse({3, 3}, {1.0F, 1.0F}, "sidecar position 3 follows 3");
  refuse({3}, {std::numeric_limits<float>::infinity()}, "sidecar_values entry 0 is inf");
}

TEST(Validate, refuses_part_of_a_low_rank_part) {
  Made made = small();
  made.tensor.svd_rank = 2;
  made.tensor.svd_u = {1, 2, 3, 4};
  made.tensor.svd_s = {1, 2};
  made.tensor.svd_vt = {1, 2, 3, 4, 5, 6};
  EXPECT_NO_THROW(validate(made.tensor, "layer"));
  made.tensor.svd_vt.pop_back();
  expect_corrupt(made.tensor, "low-rank part does not fit rank 2 of a [2, 3] matrix");
  made.tensor.svd_vt.push_back(NAN);
  expect_corrupt(made.tensor, "svd_Vt entry 5 is nan");
}

TEST(Validate, refuses_scales_that_cannot_be_divided_by) {
  Made made = small();
  made.tensor.channel_scales = {1.0F, 2.0F};
  expect_corrupt(made.tensor, "channel_scales has 2 entries, expected 3");
  made.tensor.channel_scales = {1.0F, -0.0F, 2.0F};
  expect_corrupt(made.tensor, "channel_scales entry 1 is zero");
  made.tensor.channel_scales = {1.0F, 2.0F, NAN};
  expect_corrupt(made.tensor, "channel_scales entry 2 is nan");
}

}  // namespace
}  // namespace helix
