// What tests/golden (hostile_test.cpp) does not show: what a checkpoint says of itself.

#include "checkpoint/checkpoint.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/testing/expect_error.h"
#include "base/testing/temporary_folder.h"

namespace helix {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;

struct Tensor {
  std::string name;
  DType dtype;
  Shape shape;
  std::string data;
};

template <typename Element>
Tensor make(const std::string& name, DType dtype, const Shape& shape,
            const std::vector<Element>& values) {
  std::string data(values.size() * sizeof(Element), '\0');
  if (!values.empty()) std::memcpy(data.data(), values.data(), data.size());
  return {name, dtype, shape, data};
}

Tensor floats(const std::string& name, const std::vector<float>& values) {
  return make(name, DType::kF32, {values.size()}, values);
}

// A 2 x 2 module of two levels: -1 2 / 2 -1.
std::vector<Tensor> module(const std::string& name) {
  return {floats(name + ".codebook", {-1.0F, 2.0F}),
          make<std::uint8_t>(name + ".indices", DType::kU8, {2, 2}, {0, 1, 1, 0})};
}

// A model folder of one weight file.
class Folder {
 public:
  explicit Folder(const std::vector<Tensor>& tensors,
                  const Json& config = {{"quantization_config", {{"quant_method", "hxq"}}}}) {
    std::vector<TensorEntry> entries;
    std::string data;
    for (const Tensor& tensor : tensors) {
      entries.push_back(
          {tensor.name, tensor.dtype, tensor.shape, data.size(), data.size() + tensor.data.size()});
      data += tensor.data;
    }
    write_file_atomically(folder_ / "model.safetensors",
                          make_safetensors_header(entries, {}) + data);
    write_file_atomically(folder_ / "config.json", config.dump());
  }
  const std::filesystem::path& path() const { return folder_.path(); }

 private:
  TemporaryFolder folder_;
};

std::vector<Tensor> operator+(std::vector<Tensor> tensors, const Tensor& more) {
  tensors.push_back(more);
  return tensors;
}

std::string names(const std::vector<const StoredTensor*>& tensors) {
  std::string text;
  for (const StoredTensor* tensor : tensors) text += tensor->name + " ";
  return text;
}

std::vector<float> decoded(const Checkpoint& checkpoint, std::string_view name) {
  const CompressedTensor tensor = checkpoint.load_module(name);
  std::vector<float> weights(tensor.rows * tensor.columns);
  decode_rows(tensor, 0, weights);
  return weights;
}

TEST(Checkpoint, of_a_dense_model_holds_exact_tensors_only) {
  // Names that mean something in HXQ mean nothing here.
  const Folder folder({floats("a_b.weight", {1}), floats("a.b.weight", {2}),
                       floats("x.codebook", {3}), floats("x._sidecar_rows", {4})},
                      {{"model_type", "bert"}, {"quantization_config", nullptr}});
  const Checkpoint checkpoint(folder.path());
  EXPECT_FALSE(checkpoint.is_compressed());
  EXPECT_EQ(checkpoint.foreign_quantization(), "");
  EXPECT_TRUE(checkpoint.modules().empty());
  EXPECT_EQ(checkpoint.exact_tensors().size(), 4U);
  EXPECT_TRUE(checkpoint.ignored_tensors().empty());
  EXPECT_EQ(checkpoint.expected_key_count(), 4U);
}

TEST(Checkpoint, groups_the_parts_of_each_module) {
  std::vector<Tensor> tensors = module("a");
  for (const Tensor& tensor : module("b.c")) tensors.push_back(tensor);
  const Folder folder(tensors + floats("a.bias", {1, 2}));
  const Checkpoint checkpoint(folder.path());
  EXPECT_TRUE(checkpoint.is_compressed());
  ASSERT_EQ(checkpoint.modules().size(), 2U);
  EXPECT_EQ(checkpoint.modules().at("b.c").dense_key, "b.c.weight");
  EXPECT_EQ(names(checkpoint.exact_tensors()), "a.bias ");
  EXPECT_EQ(checkpoint.expected_key_count(), 5U);
  EXPECT_EQ(decoded(checkpoint, "b.c"), (std::vector<float>{-1, 2, 2, -1}));
}

TEST(Checkpoint, counts_keys_as_the_format_page_does) {
  std::vector<Tensor> tensors = module("a");
  tensors.push_back(make<std::int64_t>("a.sidecar_positions", DType::kI64, {0}, {}));
  tensors.push_back(floats("a.sidecar_values", {}));
  tensors.push_back(make<float>("a.svd_U", DType::kF32, {2, 1}, {1, 1}));
  tensors.push_back(floats("a.svd_s", {1}));
  tensors.push_back(make<float>("a.svd_Vt", DType::kF32, {1, 2}, {1, 1}));
  tensors.push_back(floats("a.channel_scales", {1, 1}));
  tensors.push_back(floats("a.codebook_f16", {0}));
  tensors.push_back(floats("norm.weight", {1}));
  const Folder folder(tensors);
  const Checkpoint checkpoint(folder.path());
  EXPECT_EQ(checkpoint.expected_key_count(), 10U);  // 2 + 2 + 3 + 1 + 2
  EXPECT_EQ(checkpoint.store().tensors().size(), 10U);
}

TEST(Checkpoint, lets_an_exact_tensor_with_content_win) {
  const Folder folder(module("a") + make<float>("a.weight", DType::kF32, {2, 2}, {5, 6, 7, 8}));
  const Checkpoint checkpoint(folder.path());
  const ModuleParts& parts = checkpoint.modules().at("a");
  ASSERT_NE(parts.exact, nullptr);
  EXPECT_EQ(parts.exact->name, "a.weight");
  EXPECT_EQ(names(checkpoint.exact_tensors()), "a.weight ");
  EXPECT_TRUE(checkpoint.ignored_tensors().empty());
}

TEST(Checkpoint, takes_an_empty_weight_for_nothing) {
  for (const char* key : {"a.weight", "a.A_log"}) {
    SCOPED_TRACE(key);
    const std::string name = std::string(key) == "a.weight" ? "a" : key;
    const Folder folder(module(name) + floats(key, {}));
    const Checkpoint checkpoint(folder.path());
    EXPECT_EQ(checkpoint.modules().at(name).dense_key, key);
    EXPECT_EQ(checkpoint.modules().at(name).exact, nullptr);
    EXPECT_EQ(names(checkpoint.ignored_tensors()), std::string(key) + " ");
    EXPECT_TRUE(checkpoint.exact_tensors().empty());
  }
}

TEST(Checkpoint, knows_bare_parameters_by_name_and_by_key) {
  for (const char* name : {"A_log", "l.0.A_log", "l.0.D", "l.0.dt_bias"}) {
    const Folder folder(module(name));
    EXPECT_EQ(Checkpoint(folder.path()).modules().at(name).dense_key, name);
  }
  const Folder named(module("l.0.BAD"));
  EXPECT_EQ(Checkpoint(named.path()).modules().at("l.0.BAD").dense_key, "l.0.BAD.weight");
  const Folder present(module("l.0.state") +
                       make<float>("l.0.state", DType::kF32, {2, 2}, {5, 6, 7, 8}));
  EXPECT_EQ(Checkpoint(present.path()).modules().at("l.0.state").dense_key, "l.0.state");
}

TEST(Checkpoint, ignores_mangled_names_and_says_so_in_one_warning) {
  const Folder folder(module("l.up_proj") + floats("l.in_norm.weight", {1}) +
                      floats("l.in.norm.weight", {1}) + floats("l.up.proj.weight", {1}) +
                      floats("l.up_proj._sidecar_rows", {1}) + floats("unlike.any.weight", {1}));
  std::vector<std::string> warnings;
  Hooks hooks;
  hooks.log = [&](LogLevel, std::string_view text) { warnings.emplace_back(text); };
  const Checkpoint checkpoint(folder.path(), hooks);
  EXPECT_EQ(names(checkpoint.exact_tensors()), "l.in_norm.weight unlike.any.weight ");
  ASSERT_EQ(warnings.size(), 1U);
  const std::string ignored = "l.in.norm.weight, l.up.proj.weight, l.up_proj._sidecar_rows";
  EXPECT_EQ(warnings[0], folder.path().string() + ": ignored keys: " + ignored);
}

TEST(Checkpoint, names_a_foreign_quantisation) {
  const Folder folder(module("a"), {{"quantization_config", {{"quant_method", "gptq"}}}});
  const Checkpoint checkpoint(folder.path());
  EXPECT_FALSE(checkpoint.is_compressed());
  EXPECT_EQ(checkpoint.foreign_quantization(), "gptq");
  EXPECT_TRUE(checkpoint.modules().empty());
  EXPECT_EQ(checkpoint.exact_tensors().size(), 2U);
}

TEST(Checkpoint, refuses_a_name_that_is_no_module) {
  const Folder folder(module("a"));
  const Checkpoint checkpoint(folder.path());
  expect_error(ErrorCode::kNotFound, "no compressed module b",
               [&] { checkpoint.load_module("b"); });
}

// Too large for the golden folders: an index whose 16 bits have a sign.
TEST(Checkpoint, reads_i16_indices_without_a_sign) {
  std::vector<float> levels(40'000);
  for (std::size_t i = 0; i < levels.size(); ++i) levels[i] = static_cast<float>(i);
  const std::vector<std::uint16_t> indices = {39'999, 32'768, 32'767, 0};
  for (const DType dtype : {DType::kI16, DType::kU16}) {
    const Folder folder({floats("a.codebook", levels), make("a.indices", dtype, {2, 2}, indices)});
    const Checkpoint checkpoint(folder.path());
    EXPECT_EQ(decoded(checkpoint, "a"), (std::vector<float>{39'999, 32'768, 32'767, 0}));
  }
}

TEST(DenseShape, follows_from_the_sizes_of_the_architecture) {
  const Json llama = parse_json(
      R"({"model_type":"llama","hidden_size":64,"intermediate_size":160,"vocab_size":100,
          "head_dim":8,"num_attention_heads":4,"num_key_value_heads":2})",
      "config.json");
  const auto shape = [&](const char* key) { return dense_shape_from_config(llama, key); };
  using Pair = std::pair<std::uint64_t, std::uint64_t>;
  EXPECT_EQ(shape("model.layers.1.self_attn.q_proj.weight"), Pair(32, 64));
  EXPECT_EQ(shape("model.layers.1.self_attn.v_proj.weight"), Pair(16, 64));
  EXPECT_EQ(shape("model.layers.1.self_attn.o_proj.weight"), Pair(64, 32));
  EXPECT_EQ(shape("model.layers.1.mlp.down_proj.weight"), Pair(64, 160));
  EXPECT_EQ(shape("lm_head.weight"), Pair(100, 64));
  EXPECT_EQ(shape("model.layers.1.mlp.router.weight"), std::nullopt);
}

TEST(DenseShape, is_not_worked_out_from_sizes_that_cannot_be) {
  for (const std::string size : {"0", "-1", "1.5", "\"64\"", "null", "9223372036854775808"}) {
    const std::string text = R"({"model_type":"qwen2","intermediate_size":2,"hidden_size":)" + size;
    const Json config = parse_json(text + "}", "config.json");
    EXPECT_EQ(dense_shape_from_config(config, "l.mlp.up_proj.weight"), std::nullopt) << size;
  }
}

TEST(ExpectedDenseKeys, are_those_of_the_uniform_architectures) {
  Json config = parse_json(R"({"model_type":"llama","num_hidden_layers":2})", "config.json");
  EXPECT_EQ(expected_dense_keys(config).size(), 2 + 2 * 9 + 1U);
  config["tie_word_embeddings"] = true;
  EXPECT_EQ(expected_dense_keys(config).size(), 2 + 2 * 9U);
  config["model_type"] = "mamba";
  EXPECT_TRUE(expected_dense_keys(config).empty());
}

}  // namespace
}  // namespace helix
