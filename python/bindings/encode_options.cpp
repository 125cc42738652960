#include "encode_options.h"

#include <string>

#include "helix/error.h"

namespace nb = nanobind;

namespace helix::python {
namespace {

[[noreturn]] void refuse(const std::string& option, const nb::object& value,
                         const std::string& expected) {
  throw Error(ErrorCode::kInvalidArgument,
              option + " " + nb::repr(value).c_str() + ", expected " + expected);
}

}  // namespace

OutlierPolicy outlier_policy(const nb::object& value) {
  const std::string expected = "'auto', 'none', a count or a share of the weights";
  OutlierPolicy policy;
  if (nb::isinstance<nb::str>(value)) {
    const std::string_view name = nb::cast<nb::str>(value).c_str();
    if (name == "none") {
      policy.kind = OutlierPolicy::Kind::kNone;
    } else if (name != "auto") {
      refuse("outliers", value, expected);
    }
  } else if (nb::isinstance<nb::float_>(value)) {
    policy.kind = OutlierPolicy::Kind::kFraction;
    policy.fraction = nb::cast<double>(value);
    if (!(policy.fraction >= 0.0 && policy.fraction <= 1.0)) refuse("outliers", value, expected);
  } else if (std::uint64_t count = 0;
             !nb::isinstance<nb::bool_>(value) && nb::try_cast(value, count)) {
    policy.kind = OutlierPolicy::Kind::kCount;
    policy.count = count;
  } else {
    refuse("outliers", value, expected);
  }
  return policy;
}

EncodeOptions encode_options(std::uint32_t codebook_size, const nb::object& outliers,
                             std::string_view column_scales) {
  EncodeOptions options;
  options.codebook_size = codebook_size;
  options.outliers = outlier_policy(outliers);
  if (column_scales == "none") {
    options.column_scales = ColumnScales::kNone;
  } else if (column_scales != "auto") {
    throw Error(ErrorCode::kInvalidArgument,
                "column_scales '" + std::string(column_scales) + "', expected 'auto' or 'none'");
  }
  return options;
}

}  // namespace helix::python
