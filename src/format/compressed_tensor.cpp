#include "helix/compressed_tensor.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/checked.h"
#include "base/message.h"

namespace helix {
namespace {

// Past this, byte counts no longer fit in 64 bits and positions no longer in an I64.
constexpr std::uint64_t kMaxWeights = std::uint64_t{1} << 62;

// The largest index that `format` can hold.
std::uint32_t index_limit(IndexFormat format) {
  switch (format) {
    case IndexFormat::kU8: return 0xff;
    case IndexFormat::kPacked12: return 0xfff;
    case IndexFormat::kU16: return 0xffff;
  }
  return 0;
}

template <typename... Parts>
[[noreturn]] void corrupt(std::string_view name, const Parts&... parts) {
  throw_error(ErrorCode::kCorruptData, name, ": ", parts...);
}

void require_finite(std::span<const float> values, std::string_view name, const char* part) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      corrupt(name, part, " entry ", i, " is ", values[i], ", expected a finite number");
    }
  }
}

void validate_indices(const CompressedTensor& tensor, std::string_view name) {
  const std::uint64_t count = tensor.index_count();
  if (tensor.index_format == IndexFormat::kPacked12 && count % 2 != 0) {
    corrupt(name, count, " indices packed to 12 bits, expected an even number");
  }
  const std::uint64_t expected = index_bytes(tensor.index_format, count);
  if (tensor.indices.size() != expected) {
    corrupt(name, "indices take ", tensor.indices.size(), " bytes, expected ", expected);
  }
  const std::uint64_t size = tensor.codebook_size();
  if (size > index_limit(tensor.index_format)) return;
  std::vector<std::uint16_t> chunk(4096);
  for (std::uint64_t begin = 0; begin < count; begin += chunk.size()) {
    const std::span part(chunk.data(), std::min<std::uint64_t>(chunk.size(), count - begin));
    read_indices(tensor, begin, part);
    const auto worst = std::max_element(part.begin(), part.end());
    if (*worst >= size) {
      corrupt(name, "index ", *worst, " at position ",
              begin + static_cast<std::uint64_t>(worst - part.begin()),
              ", expected less than the codebook's ", size, " entries");
    }
  }
}

void validate_sidecar(const CompressedTensor& tensor, std::string_view name) {
  const auto& positions = tensor.sidecar_positions;
  if (positions.size() != tensor.sidecar_values.size()) {
    corrupt(name, positions.size(), " sidecar positions but ", tensor.sidecar_values.size(),
            " values");
  }
  const std::uint64_t weight_count = tensor.rows * tensor.columns;
  for (std::size_t i = 0; i < positions.size(); ++i) {
    if (positions[i] < 0 || static_cast<std::uint64_t>(positions[i]) >= weight_count) {
      corrupt(name, "sidecar position ", positions[i], " lies outside the ", weight_count,
              " weights");
    }
    if (i > 0 && positions[i] <= positions[i - 1]) {
      corrupt(name, "sidecar position ", positions[i], " follows ", positions[i - 1],
              ", expected strictly ascending positions");
    }
  }
  require_finite(tensor.sidecar_values, name, "sidecar_values");
}

void validate_svd(const CompressedTensor& tensor, std::string_view name) {
  const std::uint64_t rank = tensor.svd_rank;
  if (tensor.svd_u.size() != tensor.rows * rank || tensor.svd_s.size() != rank ||
      tensor.svd_vt.size() != rank * tensor.columns) {
    corrupt(name, "low-rank part does not fit rank ", rank, " of a [", tensor.rows, ", ",
            tensor.columns, "] matrix");
  }
  require_finite(tensor.svd_u, name, "svd_U");
  require_finite(tensor.svd_s, name, "svd_s");
  require_finite(tensor.svd_vt, name, "svd_Vt");
}

void validate_channel_scales(const CompressedTensor& tensor, std::string_view name) {
  const auto& scales = tensor.channel_scales;
  if (scales.empty()) return;
  if (scales.size() != tensor.columns) {
    corrupt(name, "channel_scales has ", scales.size(), " entries, expected ", tensor.columns);
  }
  require_finite(scales, name, "channel_scales");
  const auto zero = std::find(scales.begin(), scales.end(), 0.0F);
  if (zero != scales.end())
    corrupt(name, "channel_scales entry ", zero - scales.begin(), " is zero");
}

void add_low_rank(const CompressedTensor& tensor, std::uint64_t row, std::span<float> out) {
  const std::uint64_t rank = tensor.svd_rank;
  for (std::uint64_t column = 0; column < tensor.columns; ++column) {
    double sum = out[column];
    for (std::uint64_t i = 0; i < rank; ++i) {
      sum += static_cast<double>(tensor.svd_u[row * rank + i]) * tensor.svd_s[i] *
             tensor.svd_vt[i * tensor.columns + column];
    }
    out[column] = static_cast<float>(sum);
  }
}

}  // namespace

std::uint64_t CompressedTensor::stored_bytes() const {
  return 4 * (codebook.size() + sidecar_values.size() + svd_u.size() + svd_s.size() +
              svd_vt.size() + channel_scales.size()) +
         8 * sidecar_positions.size() + indices.size();
}

std::uint64_t index_bytes(IndexFormat format, std::uint64_t count) {
  switch (format) {
    case IndexFormat::kU8: return count;
    case IndexFormat::kU16: return 2 * count;
    case IndexFormat::kPacked12:
      if (count % 2 != 0) {
        throw_error(ErrorCode::kInvalidArgument, count,
                    " indices cannot be packed to 12 bits: an odd number");
      }
      return count / 2 * 3;
  }
  return 0;
}

void read_indices(const CompressedTensor& tensor, std::uint64_t begin,
                  std::span<std::uint16_t> out) {
  const std::byte* bytes = tensor.indices.data();
  switch (tensor.index_format) {
    case IndexFormat::kU8:
      for (std::size_t i = 0; i < out.size(); ++i)
        out[i] = static_cast<std::uint16_t>(bytes[begin + i]);
      return;
    case IndexFormat::kU16:
      if (!out.empty()) std::memcpy(out.data(), bytes + 2 * begin, out.size_bytes());
      return;
    case IndexFormat::kPacked12:
      for (std::size_t i = 0; i < out.size(); ++i) {
        const std::uint64_t index = begin + i;
        const std::byte* pair = bytes + index / 2 * 3;
        const auto low = static_cast<unsigned>(pair[index % 2]);
        const auto high = static_cast<unsigned>(pair[index % 2 + 1]);
        out[i] = static_cast<std::uint16_t>(index % 2 == 0 ? low | (high & 15U) << 8
                                                           : low >> 4 | high << 4);
      }
      return;
  }
}

void write_indices(std::span<const std::uint16_t> indices, IndexFormat format,
                   std::span<std::byte> out) {
  switch (format) {
    case IndexFormat::kU8:
      for (std::size_t i = 0; i < indices.size(); ++i) out[i] = static_cast<std::byte>(indices[i]);
      return;
    case IndexFormat::kU16:
      if (!indices.empty()) std::memcpy(out.data(), indices.data(), indices.size_bytes());
      return;
    case IndexFormat::kPacked12:
      for (std::size_t pair = 0; pair < indices.size() / 2; ++pair) {
        const unsigned a = indices[2 * pair];
        const unsigned b = indices[2 * pair + 1];
        out[3 * pair] = static_cast<std::byte>(a & 0xffU);
        out[3 * pair + 1] = static_cast<std::byte>((a >> 8) | (b & 15U) << 4);
        out[3 * pair + 2] = static_cast<std::byte>(b >> 4);
      }
      return;
  }
}

void validate(const CompressedTensor& tensor, std::string_view name) {
  const std::uint32_t d = tensor.vector_size;
  if (d == 0 || tensor.columns % d != 0) {
    corrupt(name, tensor.columns, " columns cannot be divided into vectors of ", d);
  }
  if (tensor.codebook.empty() || tensor.codebook.size() % d != 0) {
    corrupt(name, "codebook of ", tensor.codebook.size(), " numbers does not make vectors of ", d);
  }
  const auto weight_count = checked_multiply(tensor.rows, tensor.columns);
  if (!weight_count || *weight_count > kMaxWeights) {
    corrupt(name, "shape [", tensor.rows, ", ", tensor.columns, "] has more than 2^62 weights");
  }
  require_finite(tensor.codebook, name, "codebook");
  validate_indices(tensor, name);
  validate_sidecar(tensor, name);
  validate_svd(tensor, name);
  validate_channel_scales(tensor, name);
}

void decode_stored_rows(const CompressedTensor& tensor, std::uint64_t row_begin,
                        std::span<float> out) {
  if (out.empty()) return;
  const std::uint32_t d = tensor.vector_size;
  const std::uint64_t index_columns = tensor.index_columns();
  std::vector<std::uint16_t> indices(index_columns);
  for (std::uint64_t row = 0; row < out.size() / tensor.columns; ++row) {
    read_indices(tensor, (row_begin + row) * index_columns, indices);
    float* weights = out.data() + row * tensor.columns;
    for (std::uint64_t i = 0; i < index_columns; ++i) {
      std::copy_n(tensor.codebook.data() + std::size_t{indices[i]} * d, d, weights + i * d);
    }
  }
  const auto begin = static_cast<std::int64_t>(row_begin * tensor.columns);
  const auto& positions = tensor.sidecar_positions;
  for (auto at = std::lower_bound(positions.begin(), positions.end(), begin);
       at != positions.end() && *at < begin + static_cast<std::int64_t>(out.size()); ++at) {
    out[static_cast<std::size_t>(*at - begin)] =
        tensor.sidecar_values[static_cast<std::size_t>(at - positions.begin())];
  }
  if (tensor.svd_rank == 0) return;
  for (std::uint64_t row = 0; row < out.size() / tensor.columns; ++row) {
    add_low_rank(tensor, row_begin + row, out.subspan(row * tensor.columns, tensor.columns));
  }
}

void decode_rows(const CompressedTensor& tensor, std::uint64_t row_begin, std::span<float> out) {
  decode_stored_rows(tensor, row_begin, out);
  if (tensor.channel_scales.empty()) return;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] /= tensor.channel_scales[i % tensor.columns];
}

}  // namespace helix
