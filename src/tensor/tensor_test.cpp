#include "helix/tensor.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "base/testing/expect_error.h"

namespace helix {
namespace {

using testing::expect_error;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

constexpr DType kAllDTypes[] = {
    DType::kBool, DType::kU8,  DType::kI8,  DType::kF8E5M2, DType::kF8E4M3,
    DType::kU16,  DType::kI16, DType::kF16, DType::kBF16,   DType::kU32,
    DType::kI32,  DType::kF32, DType::kU64, DType::kI64,    DType::kF64,
};

TEST(DType, names_and_types_belong_together) {
  std::set<std::string> names;
  for (const DType dtype : kAllDTypes) {
    const std::string name(dtype_name(dtype));
    names.insert(name);
    DType parsed{};
    ASSERT_TRUE(parse_dtype(name, parsed)) << name;
    EXPECT_EQ(parsed, dtype) << name;
    // The bits stand in every name but BOOL's.
    const std::size_t digit = name.find_first_of("123456789");
    const std::size_t bits = dtype == DType::kBool ? 8 : std::stoul(name.substr(digit));
    EXPECT_EQ(8 * dtype_bytes(dtype), bits) << name;
    EXPECT_EQ(dtype_is_float(dtype), name.find('F') != std::string::npos) << name;
  }
  EXPECT_EQ(names.size(), std::size(kAllDTypes));
}

TEST(DType, unknown_names_are_refused) {
  DType untouched = DType::kI8;
  for (const char* name : {"", "f32", "F31", "F32 ", "float32", "F8"}) {
    EXPECT_FALSE(parse_dtype(name, untouched)) << name;
  }
  EXPECT_EQ(untouched, DType::kI8);
}

TEST(Shape, is_printed_and_counted) {
  EXPECT_EQ(shape_text({}), "[]");
  EXPECT_EQ(shape_text({576, 1536}), "[576, 1536]");
  EXPECT_EQ(element_count({}), 1U);
  EXPECT_EQ(element_count({576, 1536}), 884'736U);
  EXPECT_EQ(element_count({3, 0, 5}), 0U);
}

TEST(Shape, with_too_many_elements_is_corrupt) {
  const std::uint64_t large = std::uint64_t{1} << 32;
  EXPECT_EQ(element_count({large, large - 1}), large * (large - 1));
  expect_error(ErrorCode::kCorruptData, "shape [4294967296, 4294967296]", [&] {
    element_count({large, large});
  });
}

TEST(Tensors, are_the_same_by_type_shape_and_bytes) {
  const float nan = std::nanf("1");
  std::vector<float> values = {1.0F, nan, 3.0F, 4.0F};
  const auto bytes = std::as_bytes(std::span(values));
  const TensorView tensor = {.dtype = DType::kF32, .shape = {2, 2}, .data = bytes};
  const std::vector<float> copy = values;
  const auto copied = std::as_bytes(std::span(copy));
  EXPECT_TRUE(same_tensor(tensor, {.dtype = DType::kF32, .shape = {2, 2}, .data = copied}));
  EXPECT_FALSE(same_tensor(tensor, {.dtype = DType::kI32, .shape = {2, 2}, .data = copied}));
  EXPECT_FALSE(same_tensor(tensor, {.dtype = DType::kF32, .shape = {4}, .data = copied}));
  values[3] = 5.0F;
  EXPECT_FALSE(same_tensor(tensor, {.dtype = DType::kF32, .shape = {2, 2}, .data = copied}));
  EXPECT_TRUE(same_tensor(TensorView(), TensorView()));
}

// The value that IEEE 754 gives to a pattern of sign, exponent and mantissa.
double ieee_value(std::uint32_t bits, int exponent_bits, int mantissa_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = static_cast<int>(bits >> mantissa_bits) & ((1 << exponent_bits) - 1);
  const auto mantissa = static_cast<double>(bits & ((1U << mantissa_bits) - 1));
  const double sign = bits >> (exponent_bits + mantissa_bits) != 0 ? -1.0 : 1.0;
  if (exponent == (1 << exponent_bits) - 1) return mantissa == 0 ? sign * kInfinity : std::nan("");
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign *
         (std::ldexp(1.0, exponent - bias) + std::ldexp(mantissa, exponent - bias - mantissa_bits));
}

struct HalfFormat {
  const char* name;
  int exponent_bits;
  int mantissa_bits;
  float (*widen)(std::uint16_t) noexcept;
  std::uint16_t (*narrow)(float) noexcept;
  std::uint16_t infinity() const {
    return static_cast<std::uint16_t>(((1 << exponent_bits) - 1) << mantissa_bits);
  }
};

class Half : public ::testing::TestWithParam<HalfFormat> {};
INSTANTIATE_TEST_SUITE_P(Formats, Half,
                         ::testing::Values(HalfFormat{"F16", 5, 10, f16_to_float, float_to_f16},
                                           HalfFormat{"BF16", 8, 7, bf16_to_float, float_to_bf16}),
                         [](const auto& instance) { return instance.param.name; });

TEST_P(Half, every_pattern_widens_to_its_value_and_back) {
  const HalfFormat& half = GetParam();
  for (std::uint32_t pattern = 0; pattern <= 0xffff; ++pattern) {
    const auto bits = static_cast<std::uint16_t>(pattern);
    const float value = half.widen(bits);
    const double expected = ieee_value(bits, half.exponent_bits, half.mantissa_bits);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(value)) << pattern;
      ASSERT_TRUE(std::isnan(half.widen(half.narrow(value)))) << pattern;
      continue;
    }
    ASSERT_EQ(static_cast<double>(value), expected) << pattern;
    ASSERT_EQ(std::signbit(value), pattern >> 15 != 0) << pattern;
    ASSERT_EQ(half.narrow(value), bits) << pattern;
  }
}

// Between two neighbours the middle goes to the even one, and the next float beside it to the
// nearer one. The neighbour of the largest finite number is infinity.
TEST_P(Half, rounds_to_nearest_even) {
  const HalfFormat& half = GetParam();
  for (std::uint16_t low = 0; low < half.infinity(); ++low) {
    const auto high = static_cast<std::uint16_t>(low + 1);
    const double step =
        ieee_value(low, half.exponent_bits, half.mantissa_bits) -
        (low == 0 ? -static_cast<double>(half.widen(1)) : static_cast<double>(half.widen(low - 1)));
    const double above = high == half.infinity() ? static_cast<double>(half.widen(low)) + step
                                                 : static_cast<double>(half.widen(high));
    const auto middle = static_cast<float>((static_cast<double>(half.widen(low)) + above) / 2);
    ASSERT_EQ(half.narrow(middle), low % 2 == 0 ? low : high) << low;
    ASSERT_EQ(half.narrow(std::nextafterf(middle, 0.0F)), low) << low;
    ASSERT_EQ(half.narrow(std::nextafterf(middle, kInfinity)), high) << low;
    ASSERT_EQ(half.narrow(-middle), half.narrow(middle) | 0x8000) << low;
  }
}

TEST_P(Half, what_is_too_large_becomes_infinity) {
  const HalfFormat& half = GetParam();
  EXPECT_EQ(half.narrow(std::numeric_limits<float>::max()), half.infinity());
  EXPECT_EQ(half.narrow(kInfinity), half.infinity());
  EXPECT_EQ(half.narrow(-kInfinity), half.infinity() | 0x8000);
}

TEST(HalfNan, a_nan_that_would_lose_its_mantissa_stays_one) {
  const auto nan = std::bit_cast<float>(0x7f800001U);
  EXPECT_TRUE(std::isnan(bf16_to_float(float_to_bf16(nan))));
  EXPECT_TRUE(std::isnan(f16_to_float(float_to_f16(nan))));
}

TEST(Floats, are_written_and_read_back_from_any_address) {
  const std::vector<float> values = {0.0F, -1.5F, 3.25F, 65504.0F};
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    std::vector<std::byte> memory(1 + values.size() * dtype_bytes(dtype));
    const std::span<std::byte> odd = std::span(memory).subspan(1);
    write_floats(values, dtype, odd);
    std::vector<float> read(2);
    read_floats({.dtype = dtype, .shape = {4}, .data = odd}, 1, read);
    EXPECT_EQ(read, std::vector<float>({-1.5F, 3.25F})) << dtype_name(dtype);
  }
}

TEST(Floats, of_64_bits_are_rounded) {
  const std::vector<double> values = {1.0 + 0x1p-25, -2.0, 1e300};
  std::vector<float> read(3);
  read_floats({.dtype = DType::kF64, .shape = {3}, .data = std::as_bytes(std::span(values))}, 0,
              read);
  EXPECT_EQ(read, std::vector<float>({1.0F, -2.0F, kInfinity}));
}

TEST(Floats, of_no_element_work) {
  EXPECT_NO_THROW(read_floats({.dtype = DType::kF32, .shape = {0}, .data = {}}, 0, {}));
  EXPECT_NO_THROW(write_floats({}, DType::kF32, {}));
}

TEST(Floats, of_other_types_are_refused_by_name) {
  std::vector<std::byte> memory(8);
  std::vector<float> values(1);
  for (const DType dtype : {DType::kI32, DType::kF8E4M3, DType::kF8E5M2, DType::kBool}) {
    const std::string name(dtype_name(dtype));
    expect_error(ErrorCode::kUnsupported, name,
                 [&] { read_floats({.dtype = dtype, .shape = {1}, .data = memory}, 0, values); });
  }
  expect_error(ErrorCode::kUnsupported, "F64", [&] { write_floats(values, DType::kF64, memory); });
}

}  // namespace
}  // namespace helix
