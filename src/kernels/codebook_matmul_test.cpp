#include "kernels/codebook_matmul.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>

#include "helix/error.h"
#include "kernels/codebook_state.h"
#include "kernels/kernel_test_data.h"
#include "kernels/reference/matmul_reference.h"

namespace helix {
namespace {

using kernel_test::Curve;
using kernel_test::gaussian;
using kernel_test::make_tensor;
using kernel_test::relative_error;
using kernel_test::TensorShape;

// kBf16 promises 2e-3; 16-bit fixed point is held to less.
constexpr double kFixedBound = 8e-4;
constexpr double kF32Bound = 1e-5;

std::string describe(const TensorShape& shape, Isa isa, std::size_t batch) {
  return std::string(isa_name(isa)) + " [" + std::to_string(shape.rows) + ", " +
         std::to_string(shape.columns) + "] format " +
         std::to_string(static_cast<int>(shape.format)) + " d " +
         std::to_string(shape.vector_size) + " batch " + std::to_string(batch);
}

double bound_of(Precision precision) {
  return precision == Precision::kF32 ? kF32Bound : kFixedBound;
}

void expect_product(const TensorShape& shape, Precision precision, std::size_t batch) {
  const CompressedTensor tensor = make_tensor(shape, 11);
  const auto bias = gaussian(shape.rows, 12);
  const auto x = gaussian(batch * shape.columns, 13);
  const auto expected = reference::codebook_matmul(tensor, bias, x, batch);
  ThreadPool pool(2);
  for (const Isa isa : available_isas()) {
    const CodebookMatrix matrix(tensor, bias, {.precision = precision, .isa = isa});
    std::vector<float> y(batch * shape.rows, std::numeric_limits<float>::quiet_NaN());
    matrix.multiply(x, batch, y, pool);
    EXPECT_LE(relative_error(y, expected), bound_of(precision)) << describe(shape, isa, batch);
  }
}

constexpr std::size_t kBatches[] = {1, 2, 3, 7, 8, 9, 16, 29, 33, 70};

void expect_products(const TensorShape& shape) {
  for (const std::size_t batch : kBatches) {
    expect_product(shape, Precision::kBf16, batch);
    expect_product(shape, Precision::kF32, batch);
  }
}

TEST(CodebookMatmul, WholeBlocks) { expect_products({.rows = 64, .columns = 512}); }

TEST(CodebookMatmul, RowsAndColumnsThatFillNothing) {
  expect_products({.rows = 37, .columns = 331});
  expect_products({.rows = 1, .columns = 1});
  expect_products({.rows = 5, .columns = 65});
}

TEST(CodebookMatmul, OutliersAndColumnScales) {
  expect_products({.rows = 45, .columns = 300, .sidecar = true, .channel_scales = true});
}

TEST(CodebookMatmul, LowRankPart) {
  expect_products(
      {.rows = 20, .columns = 96, .sidecar = true, .channel_scales = true, .svd_rank = 5});
}

TEST(CodebookMatmul, VectorsOfTwoAndFour) {
  expect_products(
      {.rows = 35, .columns = 300, .vector_size = 2, .sidecar = true, .channel_scales = true});
  expect_products({.rows = 35, .columns = 300, .vector_size = 4, .sidecar = true});
}

TEST(CodebookMatmul, TwelveAndSixteenBitIndices) {
  expect_products({.rows = 36,
                   .columns = 150,
                   .format = IndexFormat::kPacked12,
                   .codebook_size = 4096,
                   .sidecar = true,
                   .channel_scales = true});
  expect_products({.rows = 33,
                   .columns = 151,
                   .format = IndexFormat::kU16,
                   .codebook_size = 5000,
                   .sidecar = true});
  expect_products({.rows = 33,
                   .columns = 152,
                   .format = IndexFormat::kU16,
                   .vector_size = 2,
                   .codebook_size = 5000});
}

TEST(CodebookMatmul, SmallCodebooks) {
  expect_products({.rows = 33, .columns = 130, .codebook_size = 1});
  expect_products({.rows = 33, .columns = 130, .codebook_size = 19});
}

TEST(CodebookMatmul, SmoothCodebooks) {
  for (const Curve curve : {Curve::kSmooth, Curve::kFlatEnds, Curve::kWildEnds}) {
    expect_products({.rows = 37, .columns = 331, .sidecar = true, .curve = curve});
    expect_products({.rows = 33, .columns = 130, .codebook_size = 100, .curve = curve});
  }
}

// Every entry alone: what the kernels look up is what the tables say.
TEST(CodebookMatmul, RowsLookUpWhatTheTableHolds) {
  const std::pair<Curve, TableForm> cases[] = {{Curve::kJagged, TableForm::kPlain},
                                               {Curve::kSmooth, TableForm::kShifts},
                                               {Curve::kFlatEnds, TableForm::kShapes},
                                               {Curve::kWildEnds, TableForm::kShapesAndEnds}};
  for (const auto& [curve, shapes] : cases) {
    CompressedTensor tensor = make_tensor({.rows = 256, .columns = 64, .curve = curve}, 11);
    auto indices = std::make_shared<std::vector<std::byte>>();
    for (int i = 0; i < 256 * 64; ++i) indices->push_back(static_cast<std::byte>(i / 64));
    tensor.indices = *indices;
    tensor.index_owner = indices;
    ThreadPool pool(1);
    for (const Isa isa : available_isas()) {
      const CodebookMatrix matrix(tensor, {}, {.isa = isa});
      if (!matrix.fixed_point()) continue;
      const FixedTable& table = matrix.state().row_tables.components[0];
      const KernelTable& kernels = *matrix.state().kernels;
      const TableForm form = curve == Curve::kJagged || kernels.row_form_count == 0
                                 ? kernels.plain_form
                                 : std::max(shapes, kernels.row_forms[0]);  // kPairs is the last
      EXPECT_EQ(table.form, form) << isa_name(isa);
      for (std::size_t column = 0; column < 64; ++column) {
        std::vector<float> x(64);
        x[column] = 1.0F;
        std::vector<float> y(256);
        matrix.multiply(x, 1, y, pool);
        for (std::size_t i = 0; i < 256; ++i) {
          const float expected = table.scale * static_cast<std::int16_t>(table.values[i]);
          // Bytes that nearly cancel round to F32 before they do.
          ASSERT_NEAR(y[i], expected, 1e-6F * std::fabs(expected) + 1e-7F * table.scale * 256)
              << isa_name(isa) << " column " << column << " entry " << i;
        }
      }
    }
  }
}

TEST(CodebookMatmul, LargeBatch) {
  expect_product({.rows = 70, .columns = 576, .sidecar = true}, Precision::kBf16, 512);
}

// An unsorted codebook has no narrow segments: where values are looked up by segments it takes the
// F32 path, elsewhere fixed point, and the product is right on both.
TEST(CodebookMatmul, UnsortedCodebook) {
  const TensorShape shape{.rows = 33, .columns = 200, .sorted = false};
  expect_products(shape);
  for (const Isa isa : available_isas()) {
    const CodebookMatrix matrix(make_tensor(shape, 11), {}, {.isa = isa});
    const bool expected = isa != Isa::kScalar && isa != Isa::kAvx2;
    EXPECT_EQ(matrix.fixed_point(), expected) << isa_name(isa);
  }
}

// One entry far beyond the others leaves the others too few of the 16 bits.
TEST(CodebookMatmul, CodebookThatDoesNotFitSixteenBits) {
  CompressedTensor tensor = make_tensor({.rows = 33, .columns = 200}, 11);
  tensor.codebook[255] = 1000.0F;
  auto indices = std::make_shared<std::vector<std::byte>>(tensor.index_count(), std::byte{7});
  tensor.indices = *indices;
  tensor.index_owner = indices;
  const auto x = gaussian(200, 3);
  const auto expected = reference::codebook_matmul(tensor, {}, x, 1);
  ThreadPool pool(1);
  for (const Isa isa : available_isas()) {
    const CodebookMatrix matrix(tensor, {}, {.isa = isa});
    EXPECT_FALSE(matrix.fixed_point()) << isa_name(isa);
    std::vector<float> y(33);
    matrix.multiply(x, 1, y, pool);
    EXPECT_LE(relative_error(y, expected), kF32Bound) << isa_name(isa);
  }
}

// The largest entry sets the step of 16-bit tables; here no weight has it.
TEST(CodebookMatmul, LargeEntriesThatDoNotOccurTakeNothingFromOthers) {
  const TensorShape shape{.rows = 33, .columns = 200, .codebook_size = 255};
  CompressedTensor unused = make_tensor(shape, 11);
  unused.codebook.push_back(1e4F);
  CompressedTensor replaced = make_tensor(shape, 11);
  replaced.codebook.push_back(4000.0F);
  auto indices =
      std::make_shared<std::vector<std::byte>>(replaced.indices.begin(), replaced.indices.end());
  indices->at(6599) = std::byte{255};
  replaced.indices = *indices;
  replaced.index_owner = indices;
  replaced.sidecar_positions = {6599};
  replaced.sidecar_values = {0.1F};
  ThreadPool pool(1);
  for (const CompressedTensor& tensor : {unused, replaced}) {
    for (const std::size_t batch : {std::size_t{1}, std::size_t{16}, std::size_t{24}}) {
      const auto x = gaussian(batch * 200, 3);
      const auto expected = reference::codebook_matmul(tensor, {}, x, batch);
      for (const Isa isa : available_isas()) {
        const CodebookMatrix matrix(tensor, {}, {.isa = isa});
        std::vector<float> y(batch * 33);
        matrix.multiply(x, batch, y, pool);
        EXPECT_LE(relative_error(y, expected), kFixedBound) << isa_name(isa) << " batch " << batch;
      }
    }
  }
}

// Every number at its extreme: sums of 32 bits must not overflow.
TEST(CodebookMatmul, ExtremesDoNotOverflow) {
  CompressedTensor tensor = make_tensor({.rows = 33, .columns = 256}, 11);
  tensor.codebook.assign(256, 0.5F);
  for (const float value : {1.0F, 1e30F, 1e-30F}) {
    for (const std::size_t batch : {std::size_t{1}, std::size_t{16}, std::size_t{24}}) {
      std::vector<float> x(batch * 256, value);
      x[5] = 3.0F * value;
      const auto expected = reference::codebook_matmul(tensor, {}, x, batch);
      ThreadPool pool(1);
      for (const Isa isa : available_isas()) {
        const CodebookMatrix matrix(tensor, {}, {.isa = isa});
        std::vector<float> y(batch * 33);
        matrix.multiply(x, batch, y, pool);
        EXPECT_LE(relative_error(y, expected), kFixedBound) << isa_name(isa) << " x " << value;
      }
    }
  }
}

TEST(CodebookMatmul, NumbersThatAreNotFiniteShowInTheirRow) {
  const TensorShape shape{.rows = 33, .columns = 200};
  ThreadPool pool(1);
  for (const Isa isa : available_isas()) {
    for (const std::size_t batch : {std::size_t{2}, std::size_t{12}, std::size_t{24}}) {
      const CodebookMatrix matrix(make_tensor(shape, 11), {}, {.isa = isa});
      for (const float value :
           {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
        auto x = gaussian(batch * 200, 3);
        x[200 + 77] = value;
        std::vector<float> y(batch * 33);
        matrix.multiply(x, batch, y, pool);
        EXPECT_TRUE(std::isfinite(y[0])) << isa_name(isa);
        EXPECT_FALSE(std::isfinite(y[33])) << isa_name(isa);
      }
    }
  }
}

TEST(CodebookMatmul, ThreadsDoNotChangeTheResult) {
  const TensorShape shape{.rows = 700, .columns = 330, .sidecar = true};
  for (const Isa isa : available_isas()) {
    const CodebookMatrix matrix(make_tensor(shape, 11), {}, {.isa = isa});
    for (const std::size_t batch : {1UL, 5UL, 16UL, 40UL}) {
      const auto x = gaussian(batch * 330, 3);
      std::vector<float> alone(batch * 700);
      std::vector<float> together(batch * 700);
      ThreadPool one(1);
      ThreadPool three(3);
      matrix.multiply(x, batch, alone, one);
      matrix.multiply(x, batch, together, three);
      EXPECT_EQ(alone, together) << isa_name(isa) << " batch " << batch;
    }
  }
}

// Matrices of different heights, scales, tables and paths: each result to the bit that of its own.
TEST(CodebookMatmul, TogetherAsAlone) {
  ThreadPool pool(3);
  for (const Isa isa : available_isas()) {
    const auto matrix = [&](const TensorShape& shape, std::vector<float> bias = {},
                            Precision precision = Precision::kBf16) {
      return CodebookMatrix(make_tensor(shape, 11), std::move(bias),
                            {.precision = precision, .isa = isa});
    };
    std::vector<CodebookMatrix> fixed;
    fixed.push_back(matrix({.rows = 700, .columns = 330, .sidecar = true, .channel_scales = true}));
    fixed.push_back(matrix({.rows = 1, .columns = 330, .curve = Curve::kSmooth}, {0.5F}));
    fixed.push_back(matrix({.rows = 90, .columns = 330, .channel_scales = true, .svd_rank = 2}));
    std::vector<CodebookMatrix> mixed;
    mixed.push_back(matrix({.rows = 40, .columns = 330}));
    mixed.push_back(matrix({.rows = 41, .columns = 330}, {}, Precision::kF32));
    for (const auto* matrices : {&fixed, &mixed}) {
      for (const std::size_t batch : {0UL, 1UL, 5UL, 16UL, 40UL}) {
        const auto x = gaussian(batch * 330, 3);
        std::vector<std::vector<float>> alone;
        std::vector<std::vector<float>> together;
        std::vector<CodebookProduct> products;
        for (const CodebookMatrix& one : *matrices) {
          one.multiply(x, batch, alone.emplace_back(batch * one.rows()), pool);
          together.emplace_back(batch * one.rows());
        }
        for (std::size_t i = 0; i < matrices->size(); ++i) {
          products.push_back({&(*matrices)[i], together[i]});
        }
        multiply_together(products, x, batch, pool);
        EXPECT_EQ(alone, together) << isa_name(isa) << " batch " << batch;
      }
    }
  }
}

// One shape, no bias: done in one go exactly where there are tiles, and refused before anything is
// written elsewhere and for other operands.
TEST(CodebookMatmul, GateAndUp) {
  const TensorShape shape{.rows = 40, .columns = 200};
  ThreadPool pool(2);
  const auto x = gaussian(std::size_t{20} * 200, 3);
  for (const Isa isa : available_isas()) {
    const CodebookMatrix gate(make_tensor(shape, 1), {}, {.isa = isa});
    const CodebookMatrix up(make_tensor(shape, 2), {}, {.isa = isa});
    const CodebookMatrix biased(make_tensor(shape, 2), gaussian(40, 1), {.isa = isa});
    std::vector<float> y(std::size_t{20} * 40, 7.0F);
    const auto untouched = y;
    EXPECT_FALSE(multiply_gated(gate, biased, x, 20, y, pool));
    EXPECT_FALSE(
        multiply_gated(gate, up, std::span(x).first(600), 3, std::span(y).first(120), pool));
    EXPECT_EQ(y, untouched);
    ASSERT_EQ(multiply_gated(gate, up, x, 20, y, pool), isa == Isa::kAmx) << isa_name(isa);
    if (isa != Isa::kAmx) continue;
    const auto g = reference::codebook_matmul(gate.tensor(), {}, x, 20);
    const auto u = reference::codebook_matmul(up.tensor(), {}, x, 20);
    std::vector<double> expected;
    for (std::size_t i = 0; i < g.size(); ++i) {
      expected.push_back(g[i] / (1.0 + std::exp(-g[i])) * u[i]);
    }
    EXPECT_LE(relative_error(y, expected), 2 * kFixedBound);
  }
}

TEST(CodebookMatmul, WrongSizesAreRefused) {
  const TensorShape shape{.rows = 4, .columns = 8};
  ThreadPool pool(1);
  const auto code_of = [](const auto& call) -> std::optional<ErrorCode> {
    try {
      call();
    } catch (const Error& error) {
      return error.code();
    }
    return {};
  };
  const CodebookMatrix matrix(make_tensor(shape, 1));
  std::vector<float> x(8);
  std::vector<float> y(4);
  EXPECT_EQ(code_of([&] { matrix.multiply(x, 2, y, pool); }), ErrorCode::kInvalidArgument);
  y.resize(5);
  EXPECT_EQ(code_of([&] { matrix.multiply(x, 1, y, pool); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { multiply_gated(matrix, matrix, x, 1, y, pool); }),
            ErrorCode::kInvalidArgument);
  std::vector<float> right(4, 7.0F);
  const CodebookProduct products[] = {{&matrix, right}, {&matrix, y}};
  EXPECT_EQ(code_of([&] { multiply_together(products, x, 1, pool); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(right, std::vector<float>(4, 7.0F));
  EXPECT_EQ(code_of([&] { CodebookMatrix(make_tensor(shape, 1), {1.0F}); }),
            ErrorCode::kInvalidArgument);
  CompressedTensor cut = make_tensor(shape, 1);
  cut.indices = cut.indices.first(31);
  EXPECT_EQ(code_of([&] { CodebookMatrix{cut}; }), ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace helix
