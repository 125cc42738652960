#include "convert/plan.h"

#include <gtest/gtest.h>

#include "base/testing/expect_error.h"
#include "convert/model_fixture.h"

namespace helix {
namespace {

using testing::expect_error;
using testing::ModelTensor;
using testing::TemporaryFolder;
using testing::write_model;

std::vector<PlanEntry> plan_of(const std::vector<ModelTensor>& tensors,
                               const CompressOptions& options = {},
                               const std::string& config = "{}") {
  const TemporaryFolder folder;
  write_model(folder.path(), tensors, config);
  return make_plan(Checkpoint(folder.path()), options);
}

struct Rule {
  const char* name;
  Shape shape;
  const char* reason;  // "linear": compressed
  DType dtype = DType::kF32;
};

class PlanRule : public ::testing::TestWithParam<Rule> {};

TEST_P(PlanRule, DecidesByNameAndShape) {
  const Rule& rule = GetParam();
  const PlanEntry entry = plan_of({{rule.name, rule.shape, rule.dtype}}).at(0);
  EXPECT_EQ(entry.name, rule.name);
  EXPECT_EQ(entry.reason, rule.reason);
  EXPECT_STREQ(action_name(entry.action), entry.reason == "linear" ? "compress" : "exact");
}

INSTANTIATE_TEST_SUITE_P(
    Rules, PlanRule,
    ::testing::Values(
        Rule{"model.layers.0.self_attn.q_proj.weight", {64, 64}, "linear"},
        Rule{"model.layers.0.mlp.gate_proj.weight", {64, 64}, "linear"},
        Rule{"encoder.layer.0.attention.output.dense.weight", {64, 64}, "linear"},
        Rule{"backbone.layers.0.mixer.x_proj.weight", {64, 64}, "linear"},
        Rule{"backbone.layers.0.mixer.dt_proj.weight", {64, 64}, "linear"},
        Rule{"h.0.self_attention.query_key_value.weight", {192, 64}, "linear"},
        Rule{"model.layers.0.block_sparse_moe.experts.3.w1.weight", {64, 64}, "linear"},
        Rule{"score.weight", {64, 64}, "linear"},
        Rule{"model.layers.0.mlp.up_proj.weight", {64, 64}, "linear", DType::kBF16},
        Rule{"model.layers.0.mlp.up_proj.weight", {64, 64}, "linear", DType::kF16},
        Rule{"model.layers.0.mlp.up_proj.weight", {64, 64}, "linear", DType::kF64},
        Rule{"model.layers.0.mlp.up_proj.weight", {8, 8}, "too small to gain"},
        Rule{"model.layers.0.mlp.up_proj.weight", {0, 64}, "empty"},
        Rule{"model.layers.0.mlp.up_proj.bias", {64}, "bias"},
        Rule{"model.layers.0.input_layernorm.weight", {64}, "vector"},
        Rule{"model.layers.0.strange_norm.weight", {64, 64}, "norm"},
        Rule{"model.embed_tokens.weight", {64, 64}, "embedding"},
        Rule{"transformer.wte.weight", {64, 64}, "embedding"},
        Rule{"transformer.wpe.weight", {64, 64}, "embedding"},
        Rule{"embeddings.token_type_embeddings.weight", {64, 64}, "embedding"},
        Rule{"shared.weight", {64, 64}, "embedding"},
        Rule{"encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
             {64, 64},
             "embedding"},
        Rule{"lm_head.weight", {64, 64}, "output head"},
        Rule{"language_model.lm_head.weight", {64, 64}, "output head"},
        Rule{"embed_out.weight", {64, 64}, "output head"},
        Rule{"cls.predictions.decoder.weight", {64, 64}, "output head"},
        Rule{"model.layers.0.block_sparse_moe.gate.weight", {64, 64}, "router"},
        Rule{"model.layers.0.mlp.shared_expert_gate.weight", {64, 64}, "router"},
        Rule{"encoder.block.1.layer.1.mlp.router.classifier.weight", {64, 64}, "router"},
        Rule{"model.layers.0.mlp.experts.gate_up_proj", {4, 64, 64}, "fused experts, 3-D"},
        Rule{"model.layers.0.mlp.experts.down_proj.weight", {4, 64, 64}, "fused experts, 3-D"},
        Rule{"backbone.layers.0.mixer.conv1d.weight", {64, 1, 4}, "convolution"},
        Rule{"backbone.layers.0.mixer.conv1d.weight", {64, 64}, "not a linear layer"},
        Rule{"patch_embed.proj.weight", {64, 3, 4, 4}, "convolution"},
        Rule{"backbone.layers.0.mixer.A_log", {64, 64}, "a bare parameter, not a module's weight"},
        Rule{"backbone.layers.0.mixer.D", {64}, "a bare parameter, not a module's weight"},
        Rule{"model.scale.weight", {}, "vector"},
        Rule{"layers.0.D.weight", {64, 64}, "the name of a bare parameter"},
        Rule{"embeddings.position_ids", {1, 64}, "not floating point", DType::kI64},
        Rule{"mask.weight", {64, 64}, "not floating point", DType::kU8}));

TEST(Plan, KeepsTheOrderOfTheFile) {
  const auto plan = plan_of({{"b.weight", {64, 64}}, {"a.weight", {64, 64}}, {"c.bias", {64}}});
  ASSERT_EQ(plan.size(), 3U);
  EXPECT_EQ(plan[0].name, "b.weight");
  EXPECT_EQ(plan[1].name, "a.weight");
  EXPECT_EQ(plan[2].bytes, 256U);
}

TEST(Plan, ABiasOfTheOtherExtentIsATransposedLayer) {
  const auto plan = plan_of({{"h.0.c_fc.weight", {64, 128}}, {"h.0.c_fc.bias", {128}}});
  EXPECT_EQ(plan[0].reason, "transposed linear (Conv1D)");
  const auto other = plan_of({{"h.0.other.weight", {64, 128}}, {"h.0.other.bias", {128}}});
  EXPECT_EQ(other[0].reason, "not a linear layer");
}

TEST(Plan, AModelOfConv1DLayersIsKnownByItsType) {
  const auto plan = plan_of({{"h.0.attn.c_proj.weight", {64, 64}}, {"h.0.attn.c_proj.bias", {64}}},
                            {}, R"({"model_type": "gpt2"})");
  EXPECT_EQ(plan[0].reason, "transposed linear (Conv1D)");
}

constexpr const char* kTied = R"({"tie_word_embeddings": true})";
constexpr const char* kUntied = R"({"tie_word_embeddings": false})";

TEST(Plan, SkipsATiedHeadOfTheSameValues) {
  const std::vector<ModelTensor> tensors = {{"model.embed_tokens.weight", {64, 64}},
                                            {"lm_head.weight", {64, 64}}};
  EXPECT_EQ(plan_of(tensors, {}, kTied)[1].action, Action::kSkip);
  EXPECT_EQ(plan_of(tensors, {}, kTied)[1].reason,
            "tied to model.embed_tokens.weight, same values");
  EXPECT_EQ(plan_of(tensors, {}, kUntied)[1].action, Action::kExact);
  EXPECT_EQ(plan_of(tensors)[1].action, Action::kExact);
}

TEST(Plan, KeepsATiedHeadOfOtherValuesAndWarns) {
  std::string warning;
  CompressOptions options;
  options.hooks.log = [&](LogLevel, std::string_view message) { warning = message; };
  const auto plan = plan_of(
      {{"model.embed_tokens.weight", {64, 64}}, {"lm_head.weight", {64, 64}, DType::kF32, 2.0F}},
      options, kTied);
  EXPECT_EQ(plan[1].action, Action::kExact);
  EXPECT_NE(warning.find("values differ"), std::string::npos) << warning;
}

TEST(Plan, TiedNeedsTheSameTypeAndShape) {
  EXPECT_EQ(
      plan_of({{"model.embed_tokens.weight", {64, 64}}, {"lm_head.weight", {64, 64}, DType::kBF16}},
              {}, kTied)[1]
          .action,
      Action::kExact);
  EXPECT_EQ(
      plan_of({{"model.embed_tokens.weight", {64, 64}}, {"lm_head.weight", {32, 64}}}, {}, kTied)[1]
          .action,
      Action::kExact);
}

TEST(Plan, OptionsChoose) {
  CompressOptions options;
  options.embeddings = true;
  options.lm_head = true;
  options.exclude = {"*.excluded"};
  options.include = {"*.gate", "*.excluded"};
  options.codebook_sizes = {{"*.gate", 16}, {"model.gate.weight", 32}};
  const auto plan = plan_of({{"model.embed_tokens.weight", {64, 64}},
                             {"lm_head.weight", {64, 64}},
                             {"model.excluded.weight", {64, 64}},
                             {"model.gate.weight", {64, 64}}},
                            options);
  EXPECT_EQ(plan[0].action, Action::kCompress);
  EXPECT_EQ(plan[0].encode.column_scales, ColumnScales::kNone);
  EXPECT_EQ(plan[1].action, Action::kCompress);
  EXPECT_EQ(plan[2].reason, "excluded by *.excluded");
  EXPECT_EQ(plan[3].reason, "included by *.gate");
  EXPECT_EQ(plan[3].encode.codebook_size, 32U);
}

TEST(Plan, RefusesOptions) {
  const std::vector<ModelTensor> tensors = {{"a.weight", {64, 64}}, {"a.bias", {64}}};
  const auto refuse = [&](const std::string& part, const CompressOptions& options) {
    expect_error(ErrorCode::kInvalidArgument, part, [&] { plan_of(tensors, options); });
  };
  CompressOptions options;
  options.include = {"*.bias"};
  refuse("\"*.bias\" matches no matrix", options);
  options = {};
  options.exclude = {"b*"};
  refuse("\"b*\" matches no matrix", options);
  options = {};
  options.codebook_sizes = {{"a", 4097}};
  refuse("codebook size 4097", options);
  options = {};
  options.encode.codebook_size = 1;
  refuse("codebook size 1", options);
  options = {};
  options.encode.outliers = {OutlierPolicy::Kind::kFraction, 0, 1.5};
  refuse("outlier share", options);
}

TEST(Plan, RefusesEightBitFloatsByName) {
  for (const DType dtype : {DType::kF8E4M3, DType::kF8E5M2}) {
    const std::vector<ModelTensor> tensors = {{"a.weight", {64, 64}, dtype}};
    expect_error(ErrorCode::kUnsupported, "a.weight: weights of type F8_",
                 [&] { plan_of(tensors); });
    CompressOptions options;
    options.exclude = {"a"};
    EXPECT_EQ(plan_of(tensors, options)[0].action, Action::kExact);
  }
}

TEST(Plan, RefusesNamesThatReadersTakeForSomethingElse) {
  const auto refuse = [](const std::string& part, const std::vector<ModelTensor>& tensors) {
    expect_error(ErrorCode::kUnsupported, part, [&] { plan_of(tensors); });
  };
  refuse("tensor q.codebook", {{"up.weight", {64, 64}}, {"q.codebook", {64}}});
  refuse("tensor up.indices", {{"up.weight", {64, 64}}, {"up.indices", {64}}});
  refuse("tensor up.codebook_f16", {{"up.weight", {64, 64}}, {"up.codebook_f16", {64}}});
  refuse("tensors u_p.bias and u.p.bias", {{"u.p.bias", {64}}, {"u_p.bias", {64}}});
  EXPECT_EQ(plan_of({{"codebook", {64}}, {"q.codebook.weight", {64, 64}}}).size(), 2U);
  EXPECT_EQ(plan_of({{"up.weight", {64, 64}}, {"up", {64}}})[0].action, Action::kExact);
}

TEST(Plan, RefusesWhatIsQuantisedAlready) {
  for (const char* method : {"hxq", "gptq"}) {
    const std::string config =
        std::string(R"({"quantization_config": {"quant_method": ")") + method + "\"}}";
    expect_error(ErrorCode::kUnsupported, "already", [&] {
      plan_of({{"a.weight", {64, 64}}}, {}, config);
    });
  }
}

TEST(CompressedBytesBound, CountsIndicesCodebookOutliersAndScales) {
  PlanEntry entry;
  entry.shape = {64, 66};
  entry.encode.column_scales = ColumnScales::kNone;
  entry.encode.outliers = {OutlierPolicy::Kind::kNone, 0, 0.0};
  EXPECT_EQ(compressed_bytes_bound(entry), 64U * 66 + 4 * 256);
  entry.encode.codebook_size = 1000;
  EXPECT_EQ(compressed_bytes_bound(entry), 64U * 66 * 3 / 2 + 4 * 1000);
  entry.shape = {63, 65};
  EXPECT_EQ(compressed_bytes_bound(entry), 63U * 65 * 2 + 4 * 1000);
  entry.encode.outliers = {OutlierPolicy::Kind::kCount, 10, 0.0};
  entry.encode.column_scales = ColumnScales::kAuto;
  EXPECT_EQ(compressed_bytes_bound(entry), 63U * 65 * 2 + 4 * 1000 + 120 + 4 * 65);
}

TEST(ModuleName, DropsTheLastPart) {
  EXPECT_EQ(module_name("a.b.weight"), "a.b");
  EXPECT_EQ(module_name("a.weight.b"), "a.weight.b");
  EXPECT_EQ(module_name("A_log"), "A_log");
}

}  // namespace
}  // namespace helix
