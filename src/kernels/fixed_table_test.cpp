#include "kernels/fixed_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/kernel_test_data.h"

namespace helix {
namespace {

using kernel_test::Curve;
using kernel_test::make_tensor;

std::vector<float> codebook_of(Curve curve, std::size_t size = 256, bool sorted = true) {
  return make_tensor(
             {.rows = 1, .columns = 1, .codebook_size = size, .sorted = sorted, .curve = curve}, 11)
      .codebook;
}

FixedTables tables_of(const std::vector<float>& codebook, TableForm form) {
  const std::vector<std::uint64_t> weights(codebook.size(), 1);
  return make_fixed_tables(codebook, 1, weights, 1.0F, form);
}

int value_of(const FixedTable& table, std::size_t i) {
  return static_cast<std::int16_t>(table.values[i]);
}

TEST(FixedTable, BytesMakeThePlainValues) {
  for (const float largest : {0.05F, 1e-30F, 1e30F}) {
    std::vector<float> codebook = codebook_of(Curve::kJagged);
    codebook[0] = -largest;
    codebook[255] = largest;
    const FixedTable table = tables_of(codebook, TableForm::kPlain).components[0];
    EXPECT_EQ(table.byte_step, 256);
    for (std::size_t i = 0; i < 256; ++i) {
      EXPECT_EQ(256 * table.high_byte[i] + table.low_byte[i], value_of(table, i)) << i;
      EXPECT_EQ(table.high[i] << 8 | table.low[i], table.values[i]) << i;
    }
  }
}

TEST(FixedTable, PairsAreAsCloseAsTheySay) {
  for (const Curve curve : {Curve::kJagged, Curve::kSmooth, Curve::kFlatEnds, Curve::kWildEnds}) {
    for (const std::size_t size : {256UL, 255UL, 100UL, 3UL}) {
      const auto codebook = codebook_of(curve, size);
      const FixedTables tables = tables_of(codebook, TableForm::kPairs);
      const FixedTable& table = tables.components[0];
      double error = 0.0;
      double total = 0.0;
      for (std::size_t i = 0; i < size; ++i) {
        EXPECT_EQ(table.byte_step * table.high_byte[i / 2] + table.low_byte[i], value_of(table, i));
        const double entry = static_cast<double>(table.scale) * value_of(table, i);
        error += std::pow(codebook[i] - entry, 2);
        total += std::pow(codebook[i], 2);
      }
      EXPECT_NEAR(tables.relative_error, std::sqrt(error / total), 1e-6);
      if (size == 256 && curve != Curve::kJagged) {
        EXPECT_LT(tables.relative_error, 6e-4);
      }
    }
  }
}

// Neighbours far apart leave their common high byte no good value.
TEST(FixedTable, PairsOfAnUnsortedCodebookAreFarOff) {
  const auto codebook = codebook_of(Curve::kJagged, 256, false);
  EXPECT_GT(tables_of(codebook, TableForm::kPairs).relative_error, 0.01);
}

// A step in the middle: steep slopes at indices near -128 leave no room for what shapes have to
// add.
TEST(FixedTable, ShapesWhoseProductsLeave16BitsAreRefused) {
  std::vector<float> codebook(256);
  for (std::size_t i = 0; i < 256; ++i) {
    codebook[i] = static_cast<float>(std::clamp<int>(static_cast<int>(i) - 132, 0, 8)) - 4.0F;
  }
  for (const TableForm form : {TableForm::kShapes, TableForm::kShapesAndEnds}) {
    EXPECT_EQ(tables_of(codebook, form).relative_error, HUGE_VAL);
  }
  EXPECT_LT(tables_of(codebook, TableForm::kPlain).relative_error, 1e-4);
}

}  // namespace
}  // namespace helix
