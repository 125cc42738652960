#include <algorithm>
#include <cmath>
#include <utility>

#include "base/message.h"
#include "codec/column_scales.h"
#include "codec/matrix_blocks.h"
#include "codec/nearest_level.h"
#include "codec/outlier_search.h"
#include "codec/value_histogram.h"
#include "helix/codec.h"

namespace helix {
namespace {

constexpr std::size_t kPointsPerLevel = 64;

void require_valid(const TensorView& matrix, const EncodeOptions& options) {
  read_floats(matrix, 0, {});  // refuses other types
  if (matrix.shape.size() != 2) {
    throw_error(ErrorCode::kInvalidArgument, "tensor of shape ", shape_text(matrix.shape),
                " cannot be encoded, expected two dimensions");
  }
  if (options.codebook_size < kMinCodebookSize || options.codebook_size > kMaxCodebookSize) {
    throw_error(ErrorCode::kInvalidArgument, "codebook size ", options.codebook_size, ", expected ",
                kMinCodebookSize, " to ", kMaxCodebookSize);
  }
  const double fraction = options.outliers.fraction;
  if (options.outliers.kind == OutlierPolicy::Kind::kFraction &&
      !(fraction >= 0.0 && fraction <= 1.0)) {
    throw_error(ErrorCode::kInvalidArgument, "outlier fraction ", fraction, ", expected 0 to 1");
  }
  if (matrix.data.size() != element_count(matrix.shape) * dtype_bytes(matrix.dtype)) {
    throw_error(ErrorCode::kInvalidArgument, "tensor of shape ", shape_text(matrix.shape), " and ",
                matrix.data.size(), " bytes of data, expected ",
                element_count(matrix.shape) * dtype_bytes(matrix.dtype));
  }
}

[[noreturn]] void throw_first_non_finite(const TensorView& matrix) {
  MatrixBlocks(matrix, {}).for_each([&](std::uint64_t begin, std::span<const float> block) {
    for (std::size_t i = 0; i < block.size(); ++i) {
      if (std::isfinite(block[i])) continue;
      const std::uint64_t position = begin + i;
      throw_error(ErrorCode::kUnsupported, "element at row ", position / matrix.shape[1],
                  ", column ", position % matrix.shape[1], " is ", block[i],
                  " in F32, expected a finite number");
    }
    return true;
  });
  throw_error(ErrorCode::kInternal, "a sum over finite elements is not finite");
}

// A stored value that gives back the weight when it is divided by the column's scale, wherever F32
// has one; else the nearest.
float scaled_outlier(float weight, float scale) {
  const float product = weight * scale;
  float candidate = product;
  for (const float toward : {-INFINITY, INFINITY}) {
    candidate = product;
    for (int step = 0; step < 3; ++step) {
      if (candidate / scale == weight) return candidate;
      candidate = std::nextafter(candidate, toward);
    }
  }
  return product;
}

// Codes go in by the block, in the index format.
class IndexWriter {
 public:
  IndexWriter(IndexFormat format, std::uint64_t count) : format_(format) {
    auto bytes = std::make_shared_for_overwrite<std::byte[]>(
        static_cast<std::size_t>(index_bytes(format, count)));
    bytes_ = {bytes.get(), static_cast<std::size_t>(index_bytes(format, count))};
    owner_ = std::move(bytes);
  }

  std::byte* take_u8(std::size_t count) {
    std::byte* at = bytes_.data() + done_;
    done_ += count;
    return at;
  }

  // Pairs that span two blocks wait for their second half.
  void append(std::span<const std::uint16_t> codes) {
    waiting_.insert(waiting_.end(), codes.begin(), codes.end());
    const std::size_t ready = waiting_.size() - waiting_.size() % 2;
    write(ready);
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(ready));
  }
  void finish() { write(waiting_.size()); }

  void move_into(CompressedTensor& tensor) {
    tensor.index_format = format_;
    tensor.indices = bytes_;
    tensor.index_owner = std::move(owner_);
  }

 private:
  void write(std::size_t count) {
    const auto bytes = static_cast<std::size_t>(index_bytes(format_, count));
    write_indices(std::span(waiting_).first(count), format_, bytes_.subspan(done_, bytes));
    done_ += bytes;
  }

  IndexFormat format_;
  std::span<std::byte> bytes_;
  std::shared_ptr<const void> owner_;
  std::size_t done_ = 0;
  std::vector<std::uint16_t> waiting_;
};

// The second pass over the matrix: a code for every element, and the outliers.
class Assignment {
 public:
  Assignment(const MatrixBlocks& blocks, const ValueHistogram& histogram,
             const OutlierChoice& choice)
      : blocks_(blocks),
        part_left_(choice.part_count),
        ranges_(ranges_of(histogram, choice)),
        nearest_(choice.levels, ranges_) {
    if (choice.part_count > 0) {
      part_range_ = static_cast<std::size_t>(
          std::lower_bound(choice.whole.begin(), choice.whole.end(), choice.part) -
          choice.whole.begin());
    }
  }

  void run(IndexFormat format, CompressedTensor& tensor) {
    IndexWriter writer(format, blocks_.size());
    std::vector<std::uint16_t> codes;
    blocks_.for_each([&](std::uint64_t begin, std::span<const float> block) {
      if (format == IndexFormat::kU8) {
        assign(begin, block, reinterpret_cast<std::uint8_t*>(writer.take_u8(block.size())), tensor);
      } else {
        codes.resize(block.size());
        assign(begin, block, codes.data(), tensor);
        writer.append(codes);
      }
      return true;
    });
    if (format != IndexFormat::kU8) writer.finish();
    writer.move_into(tensor);
    restore_outlier_weights(tensor);
  }

 private:
  static std::vector<FloatRange> ranges_of(const ValueHistogram& histogram,
                                           const OutlierChoice& choice) {
    std::vector<std::uint32_t> points = choice.whole;
    if (choice.part_count > 0) {
      points.insert(std::lower_bound(points.begin(), points.end(), choice.part), choice.part);
    }
    std::vector<FloatRange> ranges;
    for (const std::uint32_t point : points) {
      ranges.push_back({histogram.lows[point], histogram.highs[point]});
    }
    return ranges;
  }

  template <typename Code>
  void assign(std::uint64_t begin, std::span<const float> block, Code* codes,
              CompressedTensor& tensor) {
    const NearestLevel::Entry* entries = nearest_.entries();
    for (std::size_t i = 0; i < block.size(); ++i) {
      const float value = block[i];
      const NearestLevel::Entry entry = entries[NearestLevel::entry_of(value)];
      codes[i] = static_cast<Code>(entry.level + (value > entry.last ? 1 : 0));
      if (entry.is_rare != 0) [[unlikely]] {
        codes[i] = static_cast<Code>(nearest_.find(value));
        if (leaves(value)) {
          tensor.sidecar_positions.push_back(static_cast<std::int64_t>(begin + i));
          tensor.sidecar_values.push_back(value);
        }
      }
    }
  }

  bool leaves(float value) {
    const std::size_t range = nearest_.marked_range(value);
    if (range == ranges_.size()) return false;
    if (range != part_range_) return true;
    if (part_left_ == 0) return false;
    --part_left_;
    return true;
  }

  void restore_outlier_weights(CompressedTensor& tensor) const {
    if (blocks_.scales().empty()) return;
    for (std::size_t i = 0; i < tensor.sidecar_positions.size(); ++i) {
      const auto position = static_cast<std::uint64_t>(tensor.sidecar_positions[i]);
      float weight = 0.0F;
      read_floats(blocks_.matrix(), position, {&weight, 1});
      tensor.sidecar_values[i] =
          scaled_outlier(weight, blocks_.scales()[position % blocks_.columns()]);
    }
  }

  const MatrixBlocks& blocks_;
  std::size_t part_range_ = static_cast<std::size_t>(-1);
  std::uint64_t part_left_;
  std::vector<FloatRange> ranges_;
  NearestLevel nearest_;
};

IndexFormat format_for(std::uint32_t codebook_size, std::uint64_t count) {
  if (codebook_size <= 256) return IndexFormat::kU8;
  return count % 2 == 0 ? IndexFormat::kPacked12 : IndexFormat::kU16;
}

ValueHistogram points_of(const MatrixBlocks& blocks, std::uint32_t codebook_size) {
  const std::size_t target = kPointsPerLevel * codebook_size;
  ValueHistogram histogram = make_histogram(blocks, codebook_size, target);
  const bool is_exact = blocks.scales().empty() && dtype_bytes(blocks.matrix().dtype) == 2;
  return is_exact ? histogram : coarsen(histogram, target);
}

}  // namespace

CompressedTensor encode(const TensorView& matrix, const EncodeOptions& options) {
  require_valid(matrix, options);
  const std::vector<double> norms = column_squared_norms(matrix);
  for (const double norm : norms) {
    if (!std::isfinite(norm)) throw_first_non_finite(matrix);
  }
  CompressedTensor tensor;
  tensor.rows = matrix.shape[0];
  tensor.columns = matrix.shape[1];
  if (options.column_scales == ColumnScales::kAuto) {
    tensor.channel_scales = choose_column_scales(matrix, norms);
  }
  const MatrixBlocks blocks(matrix, tensor.channel_scales);
  const ValueHistogram histogram = points_of(blocks, options.codebook_size);
  const double other_bits =
      32.0 * static_cast<double>(options.codebook_size + tensor.channel_scales.size()) /
      static_cast<double>(std::max<std::uint64_t>(blocks.size(), 1));
  const OutlierChoice choice =
      search_outliers(histogram, options.codebook_size, options.outliers, other_bits);
  tensor.codebook = choice.levels;
  Assignment(blocks, histogram, choice)
      .run(format_for(options.codebook_size, blocks.size()), tensor);
  return tensor;
}

}  // namespace helix
