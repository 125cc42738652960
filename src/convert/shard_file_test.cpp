#include "convert/shard_file.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/testing/expect_error.h"
#include "base/testing/temporary_folder.h"

namespace helix {
namespace {

using testing::TemporaryFolder;

OutputTensor planned(const std::string& name, DType dtype, Shape shape) {
  return {name, {dtype, std::move(shape), {}}};
}

std::vector<std::byte> bytes_of(std::size_t size, int seed) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 7 + seed);
  return bytes;
}

struct Written {
  std::vector<std::byte> indices = bytes_of(15, 1);
  std::vector<std::byte> wide = bytes_of(6, 2);
  std::vector<std::byte> codebook = bytes_of(8, 3);
  std::vector<std::byte> positions = bytes_of(16, 4);
  std::vector<std::byte> norm = bytes_of(6, 5);
};

// Two index matrices; of the others fewer come than were announced.
void write(const std::filesystem::path& path, const Written& written, bool keep,
           bool skip_early = false) {
  ShardFile file(
      path, {planned("wide.indices", DType::kU16, {3}), planned("a.indices", DType::kU8, {3, 5})},
      {planned("a.codebook", DType::kF32, {256}),
       planned("a.sidecar_positions", DType::kI64, {1000}), planned("norm", DType::kBF16, {3})},
      keep);
  if (!skip_early) {
    file.write_early(1, written.indices);
    file.write_early(0, written.wide);
  }
  file.finish({{"norm", {DType::kBF16, {3}, written.norm}},
               {"a.codebook", {DType::kF32, {2}, written.codebook}},
               {"a.sidecar_positions", {DType::kI64, {2}, written.positions}}},
              {});
  file.sync();
}

TEST(ShardFile, IsAValidFileWhateverOrderTheTensorsCameIn) {
  const TemporaryFolder folder;
  const Written written;
  write(folder / "shard", written, false);
  const SafetensorsFile file(folder / "shard");
  const auto& tensors = file.header().tensors;
  ASSERT_EQ(tensors.size(), 5U);
  const std::vector<std::string> order = {"wide.indices", "a.indices", "a.sidecar_positions",
                                          "a.codebook", "norm"};
  const std::vector<const std::vector<std::byte>*> content = {
      &written.wide, &written.indices, &written.positions, &written.codebook, &written.norm};
  for (std::size_t i = 0; i < order.size(); ++i) {
    EXPECT_EQ(tensors[i].name, order[i]);
    const auto data = file.view(tensors[i]).data;
    EXPECT_TRUE(std::equal(data.begin(), data.end(), content[i]->begin(), content[i]->end()));
  }
  EXPECT_EQ(file.header().metadata.at("format"), "pt");
}

TEST(ShardFile, LateTensorsAreAligned) {
  const TemporaryFolder folder;
  write(folder / "shard", {}, false);
  const SafetensorsFile file(folder / "shard");
  for (const TensorEntry& tensor : file.header().tensors) {
    if (tensor.name.ends_with(".indices")) continue;
    const std::uint64_t offset = file.header().data_begin + tensor.begin;
    EXPECT_EQ(offset % dtype_bytes(tensor.dtype), 0U) << tensor.name;
  }
}

TEST(ShardFile, KeepContinuesWhatIsThere) {
  const TemporaryFolder folder;
  const Written written;
  write(folder / "whole", written, false);
  write(folder / "kept", written, false);
  write(folder / "kept", written, true, /*skip_early=*/true);
  write(folder / "new", written, true);
  EXPECT_EQ(read_file(folder / "kept"), read_file(folder / "whole"));
  EXPECT_EQ(read_file(folder / "new"), read_file(folder / "whole"));
  write(folder / "kept", written, false, /*skip_early=*/true);
  EXPECT_NE(read_file(folder / "kept"), read_file(folder / "whole"));  // truncated first
}

TEST(ShardFile, ALongerFileOfBeforeIsCut) {
  const TemporaryFolder folder;
  const Written written;
  write(folder / "whole", written, false);
  write_file_atomically(folder / "long", std::string(100'000, 'x'));
  write(folder / "long", written, true);
  EXPECT_EQ(read_file(folder / "long"), read_file(folder / "whole"));
}

TEST(ShardFile, RefusesAnotherSizeThanPlanned) {
  const TemporaryFolder folder;
  ShardFile file(folder / "shard", {planned("a.indices", DType::kU8, {3, 5})}, {}, false);
  testing::expect_error(ErrorCode::kInternal, "a.indices: 14 bytes to write, planned 15",
                        [&] { file.write_early(0, bytes_of(14, 0)); });
}

TEST(ShardFile, WithoutAnyTensor) {
  const TemporaryFolder folder;
  ShardFile file(folder / "shard", {}, {}, false);
  file.finish({}, {});
  file.sync();
  EXPECT_TRUE(SafetensorsFile(folder / "shard").header().tensors.empty());
}

}  // namespace
}  // namespace helix
