#include "models/load_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <map>

#include "base/file.h"
#include "base/json.h"
#include "base/testing/expect_error.h"
#include "base/testing/temporary_folder.h"
#include "checkpoint/checkpoint.h"
#include "helix/tensor.h"
#include "models/llama.h"
#include "models/qwen2.h"

namespace helix {
namespace {

using helix::testing::expect_error;
using helix::testing::TemporaryFolder;

// A Llama of one layer, as its files state it, to be broken in one way at a time.
class LoadModelTest : public ::testing::Test {
 protected:
  LoadModelTest() {
    config_ = {{"model_type", "llama"},
               {"vocab_size", 12},
               {"hidden_size", 8},
               {"intermediate_size", 10},
               {"num_hidden_layers", 1},
               {"num_attention_heads", 2},
               {"num_key_value_heads", 1},
               {"max_position_embeddings", 32},
               {"tie_word_embeddings", true},
               {"rms_norm_eps", 1e-5}};
    const std::string layer = "model.layers.0.";
    shapes_ = {{"model.embed_tokens.weight", {12, 8}},
               {"model.norm.weight", {8}},
               {layer + "input_layernorm.weight", {8}},
               {layer + "post_attention_layernorm.weight", {8}},
               {layer + "self_attn.q_proj.weight", {8, 8}},
               {layer + "self_attn.k_proj.weight", {4, 8}},
               {layer + "self_attn.v_proj.weight", {4, 8}},
               {layer + "self_attn.o_proj.weight", {8, 8}},
               {layer + "mlp.gate_proj.weight", {10, 8}},
               {layer + "mlp.up_proj.weight", {10, 8}},
               {layer + "mlp.down_proj.weight", {8, 10}}};
  }

  void write() {
    write_file_atomically(folder_ / "config.json", config_.dump());
    std::vector<TensorEntry> entries;
    std::string data;
    for (const auto& [name, shape] : shapes_) {
      std::vector<float> values(element_count(shape));
      for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] = 0.1F * static_cast<float>(i % 7) - 0.2F;
      }
      if (name == spoiled_) values[3] = std::numeric_limits<float>::quiet_NaN();
      const std::uint64_t begin = data.size();
      data.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
      entries.push_back({name, DType::kF32, shape, begin, data.size()});
    }
    const std::string header = make_safetensors_header(entries, {});
    write_file_atomically(folder_ / "model.safetensors", header + data);
  }

  void expect_refused(ErrorCode code, const std::string& part) {
    write();
    expect_error(code, part, [&] { load_model(folder_.path()); });
  }

  TemporaryFolder folder_;
  Json config_;
  std::map<std::string, Shape> shapes_;
  std::string spoiled_;
};

TEST_F(LoadModelTest, LoadsWhole) {
  write();
  const auto model = load_model(folder_.path());
  EXPECT_EQ(model->info().model_type, "llama");
  EXPECT_EQ(model->info().vocabulary_size, 12U);
  EXPECT_EQ(model->info().max_positions, 32U);
}

// Threads load layers; the first that fails is the one that is named.
TEST_F(LoadModelTest, TheFirstOfManyFaultsIsNamed) {
  const std::map<std::string, Shape> one = shapes_;
  config_["num_hidden_layers"] = 9;
  for (const auto& [name, shape] : one) {
    if (!name.starts_with("model.layers.0.")) continue;
    for (int layer = 1; layer < 9; ++layer) {
      shapes_["model.layers." + std::to_string(layer) + name.substr(14)] = shape;
    }
  }
  write();
  EXPECT_NE(load_model(folder_.path(), {.thread_count = 3}), nullptr);
  for (const char* layer : {"4", "5", "8"}) {
    shapes_.erase(std::string("model.layers.") + layer + ".mlp.up_proj.weight");
  }
  write();
  for (const std::size_t threads : {1UL, 3UL}) {
    expect_error(ErrorCode::kNotFound, "model.layers.4.mlp.up_proj.weight is missing",
                 [&] { load_model(folder_.path(), {.thread_count = threads}); });
  }
}

TEST_F(LoadModelTest, AnUnknownArchitectureIsNamedWithTheKnown) {
  config_["model_type"] = "gpt_neox";
  expect_refused(ErrorCode::kUnsupported, "\"gpt_neox\", this version runs llama, qwen2");
}

TEST_F(LoadModelTest, ForeignQuantisationIsNamed) {
  config_["quantization_config"] = {{"quant_method", "gptq"}};
  expect_refused(ErrorCode::kUnsupported, "gptq");
}

TEST_F(LoadModelTest, AMissingTensorIsNamed) {
  shapes_.erase("model.layers.0.mlp.up_proj.weight");
  expect_refused(ErrorCode::kNotFound, "model.layers.0.mlp.up_proj.weight is missing");
}

TEST_F(LoadModelTest, AnUntiedHeadMustBeThere) {
  config_["tie_word_embeddings"] = false;
  expect_refused(ErrorCode::kNotFound, "lm_head.weight is missing");
}

TEST_F(LoadModelTest, AWrongShapeIsToldWithBoth) {
  shapes_["model.layers.0.self_attn.k_proj.weight"] = {8, 8};
  expect_refused(ErrorCode::kCorruptData, "k_proj.weight has shape [8, 8], expected [4, 8]");
}

TEST_F(LoadModelTest, ANormThatIsNotFiniteIsNamed) {
  spoiled_ = "model.norm.weight";
  expect_refused(ErrorCode::kCorruptData, "model.norm.weight: element 3 is");
}

TEST_F(LoadModelTest, ABiasThatTheConfigAsksForMustBeThere) {
  config_["attention_bias"] = true;
  expect_refused(ErrorCode::kNotFound, "q_proj.bias is missing");
}

TEST_F(LoadModelTest, Qwen2NeedsItsBiases) {
  config_["model_type"] = "qwen2";
  expect_refused(ErrorCode::kNotFound, "q_proj.bias is missing");
}

TEST_F(LoadModelTest, SizesThatMakeNoSense) {
  const std::vector<std::pair<std::string, Json>> faults = {
      {"hidden_size", 0},      {"hidden_size", -8},        {"hidden_size", "8"},
      {"vocab_size", nullptr}, {"num_hidden_layers", 1e9}, {"num_key_value_heads", 3},
      {"head_dim", 3},         {"rms_norm_eps", "small"},  {"tie_word_embeddings", 1},
      {"rope_theta", 0.5},     {"num_attention_heads", 3}};
  const Json whole = config_;
  for (const auto& [key, value] : faults) {
    config_ = whole;
    config_[key] = value;
    write();
    expect_error(ErrorCode::kCorruptData, key, [&] { load_model(folder_.path()); });
  }
}

TEST_F(LoadModelTest, UnknownRopeAndActivationAreNamed) {
  config_["rope_scaling"] = {{"rope_type", "longrope"}};
  expect_refused(ErrorCode::kUnsupported, "longrope");
  config_["rope_scaling"] = nullptr;
  config_["rope_parameters"] = {{"full_attention", {{"rope_type", "default"}}}};
  expect_refused(ErrorCode::kUnsupported, "full_attention");
  config_["rope_parameters"] = nullptr;
  config_["hidden_act"] = "gelu";
  expect_refused(ErrorCode::kUnsupported, "gelu");
}

TEST_F(LoadModelTest, StoredTensorsThatTheConfigDoesNotAskForAreNamed) {
  shapes_["model.layers.0.self_attn.q_proj.bias"] = {8};
  shapes_["model.layers.0.self_attn.rotary_emb.inv_freq"] = {2};
  shapes_["model.layers.1.mlp.up_proj.weight"] = {10, 8};
  std::string warnings;
  LoadOptions options;
  options.hooks.log = [&](LogLevel, std::string_view text) {
    warnings += std::string(text) + "\n";
  };
  write();
  load_model(folder_.path(), options);
  EXPECT_NE(warnings.find("2 stored tensors that config.json does not ask for: "
                          "model.layers.0.self_attn.q_proj.bias, "
                          "model.layers.1.mlp.up_proj.weight\n"),
            std::string::npos)
      << warnings;
}

TEST_F(LoadModelTest, AHeadOfItsOwnIsUsedWhereTheConfigTiesIt) {
  shapes_["lm_head.weight"] = {12, 8};
  std::string warnings;
  LoadOptions options;
  options.hooks.log = [&](LogLevel, std::string_view text) { warnings += text; };
  write();
  load_model(folder_.path(), options);
  EXPECT_EQ(warnings, "");  // a copy
  spoiled_ = "lm_head.weight";
  write();
  load_model(folder_.path(), options);
  EXPECT_NE(warnings.find("the stored lm_head is another"), std::string::npos) << warnings;
}

TEST_F(LoadModelTest, AFileOrNothingInPlaceOfTheFolder) {
  write();
  expect_error(ErrorCode::kInvalidArgument, "is a file",
               [&] { load_model(folder_ / "model.safetensors"); });
  expect_error(ErrorCode::kNotFound, "no such folder", [&] { load_model(folder_ / "other"); });
  expect_error(ErrorCode::kNotFound, "no such folder", [] { load_model(""); });
}

// As transformers takes them.
TEST_F(LoadModelTest, WhatIsAbsentAndWhatIsNull) {
  const auto qwen2 = [&] { return qwen2_config(Json::parse(config_.dump()), "f"); };
  const auto llama = [&] { return llama_config(Json::parse(config_.dump()), "f"); };
  config_["use_sliding_window"] = true;
  config_["max_window_layers"] = 0;
  EXPECT_EQ(qwen2().windows, std::vector<std::size_t>{4096});
  config_["sliding_window"] = nullptr;
  EXPECT_EQ(qwen2().windows, std::vector<std::size_t>{0});
  config_["rope_scaling"] = {{"rope_type", "yarn"}, {"factor", 4.0}};
  EXPECT_TRUE(llama().rope.truncate);
  config_["rope_scaling"]["truncate"] = nullptr;
  EXPECT_FALSE(llama().rope.truncate);
  config_.erase("max_position_embeddings");
  EXPECT_EQ(llama().max_positions, 2048U);
  EXPECT_EQ(qwen2().max_positions, 32768U);
  config_["num_key_value_heads"] = nullptr;
  EXPECT_EQ(qwen2().key_head_count, 2U);
  config_.erase("num_key_value_heads");
  expect_error(ErrorCode::kCorruptData, "num_key_value_heads", qwen2);  // the usual: 32
}

TEST_F(LoadModelTest, AttentionInBothDirectionsIsNotKnown) {
  config_["is_causal"] = false;
  expect_refused(ErrorCode::kUnsupported, "is_causal");
}

TEST_F(LoadModelTest, AnEndTokenBeyondAllIdsIsRefused) {
  config_["eos_token_id"] = UINT64_MAX;
  expect_refused(ErrorCode::kCorruptData, "eos_token_id");
}

TEST_F(LoadModelTest, EndTokensBelowZeroAreNone) {
  config_["eos_token_id"] = {-1, 3};
  write();
  EXPECT_EQ(load_model(folder_.path())->info().end_tokens, std::vector<std::int32_t>{3});
}

TEST_F(LoadModelTest, TheContextOfScaledRope) {
  const std::vector<std::pair<Json, std::size_t>> cases = {
      {{{"rope_type", "linear"}, {"factor", 4.0}}, 128},
      {{{"rope_type", "dynamic"}, {"factor", 2.0}}, 64},
      {{{"rope_type", "yarn"}, {"factor", 4.0}}, 128},
      {{{"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 8}}, 32},
      {{{"rope_type", "llama3"},
        {"factor", 4.0},
        {"low_freq_factor", 1.0},
        {"high_freq_factor", 4.0},
        {"original_max_position_embeddings", 8}},
       32}};
  config_["head_dim"] = 4;
  for (const auto& [scaling, positions] : cases) {
    config_["rope_scaling"] = scaling;
    write();
    EXPECT_EQ(load_model(folder_.path())->info().max_positions, positions) << scaling.dump();
  }
  config_["rope_scaling"] = {{"rope_type", "yarn"}, {"factor", 4.0}, {"beta_fast", -1.0}};
  expect_refused(ErrorCode::kCorruptData, "beta_fast");
  config_["rope_scaling"] = {{"rope_type", "yarn"}, {"factor", 4.0}, {"attention_factor", 1e39}};
  expect_refused(ErrorCode::kInvalidArgument, "no finite numbers");
}

TEST_F(LoadModelTest, ATruncatedFileIsRefused) {
  write();
  const auto path = folder_ / "model.safetensors";
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 5);
  expect_error(ErrorCode::kCorruptData, "model.safetensors", [&] { load_model(folder_.path()); });
}

TEST_F(LoadModelTest, MadeUpModelsHaveTheShapeAndRun) {
  write();
  for (const bool dense : {false, true}) {
    RandomModelOptions options;
    options.dense = dense;
    const auto model = random_model(folder_ / "config.json", options);
    EXPECT_EQ(model->info().vocabulary_size, 12U);
    ThreadPool pool(1);
    const auto state = model->new_state(4);
    const std::vector<std::int32_t> tokens = {1, 2, 3};
    std::vector<float> hidden(3 * 8);
    const SequenceStep step = {.state = state.get(), .tokens = tokens};
    model->forward(std::span(&step, 1), hidden, pool, {});
    for (const float value : hidden) EXPECT_TRUE(std::isfinite(value));
    const SequenceStep more = {.state = state.get(), .tokens = tokens};
    expect_error(ErrorCode::kInvalidArgument, "its context takes 4",
                 [&] { model->forward(std::span(&more, 1), hidden, pool, {}); });
    const std::vector<std::int32_t> unknown = {12};
    const SequenceStep wrong = {.state = state.get(), .tokens = unknown};
    expect_error(ErrorCode::kInvalidArgument, "token 12",
                 [&] { model->forward(std::span(&wrong, 1), hidden, pool, {}); });
  }
}

}  // namespace
}  // namespace helix
