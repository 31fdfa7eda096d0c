#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "expect_error.hpp"
#include "export/checkpoint_graph.hpp"
#include "export/families.hpp"
#include "nibble/export.hpp"
#include "tiny_checkpoint.hpp"

// Families with experts and with latent attention: what their config.json says, and what is wrong with it.

namespace nibble {

using test::fails;
using test::Tensors;
using test::TinyCheckpoint;

namespace {

using nlohmann::json;

DecoderConfig configure(std::string_view family, const json& more = json::object()) {
  json config{
      {"model_type", family}, {"hidden_size", 64}, {"num_attention_heads", 4}, {"num_hidden_layers", 4}, {"num_key_value_heads", 4}};
  config.update(more);
  ModelConfig model(config, "config.json");
  return find_family(model).configure(model);
}

std::string sizes(std::string_view family, const json& more = json::object()) {
  MoeConfig moe = configure(family, more).moe;
  return fmt::format("{} of {}, {} wide, in {}", moe.chosen, moe.experts, moe.intermediate, moe.path);
}

/// 'e' for a layer with experts, '-' for one with an MLP.
std::string layers(std::string_view family, const json& more) {
  std::string kinds;
  for (const LayerConfig& layer : configure(family, more).layer) kinds += layer.has_experts ? 'e' : '-';
  return kinds;
}

}  // namespace

TEST(Experts, FamiliesHaveDefaultsOfTheirOwn) {
  EXPECT_EQ(sizes("mixtral"), "2 of 8, 14336 wide, in block_sparse_moe");
  EXPECT_EQ(sizes("qwen2_moe"), "4 of 60, 1408 wide, in mlp");
  EXPECT_EQ(sizes("qwen3_moe"), "8 of 128, 768 wide, in mlp");
  EXPECT_EQ(sizes("olmoe"), "8 of 64, 2048 wide, in mlp");
  EXPECT_EQ(sizes("phimoe"), "2 of 16, 6400 wide, in block_sparse_moe");
  EXPECT_EQ(sizes("granitemoe"), "2 of 8, 11008 wide, in block_sparse_moe");
  EXPECT_EQ(sizes("gpt_oss"), "4 of 128, 2880 wide, in mlp");
  EXPECT_EQ(sizes("deepseek_v2"), "6 of 64, 1407 wide, in mlp");
  EXPECT_EQ(sizes("deepseek_v3"), "8 of 256, 2048 wide, in mlp");
}

TEST(Experts, EveryLayerHasThemUnlessTheConfigSaysOtherwise) {
  for (std::string_view family : {"mixtral", "qwen2_moe", "qwen3_moe", "olmoe", "phimoe", "granitemoe", "gpt_oss", "deepseek_v2"})
    EXPECT_EQ(layers(family, json::object()), "eeee") << family;
  EXPECT_EQ(layers("deepseek_v3", json::object()), "---e");
}

TEST(Experts, QwenNamesLayersWithoutAndAStep) {
  EXPECT_EQ(layers("qwen2_moe", {{"mlp_only_layers", {0, 3}}}), "-ee-");
  EXPECT_EQ(layers("qwen3_moe", {{"decoder_sparse_step", 2}}), "-e-e");
  EXPECT_EQ(layers("qwen3_moe", {{"decoder_sparse_step", 2}, {"mlp_only_layers", {1}}}), "---e");
  EXPECT_EQ(layers("qwen3_moe", {{"mlp_only_layers", nullptr}}), "eeee");
}

TEST(Experts, DeepSeekBeginsWithDenseLayers) {
  EXPECT_EQ(layers("deepseek_v2", {{"first_k_dense_replace", 1}}), "-eee");
  EXPECT_EQ(layers("deepseek_v3", {{"first_k_dense_replace", 0}, {"moe_layer_freq", 3}}), "e--e");
  EXPECT_TRUE(configure("deepseek_v3", {{"n_routed_experts", nullptr}}).layer.empty());
}

TEST(Experts, RoutersWeighInTheirOwnWays) {
  EXPECT_TRUE(configure("mixtral").moe.router.is_normalized);
  EXPECT_FALSE(configure("qwen2_moe").moe.router.is_normalized);
  EXPECT_TRUE(configure("qwen3_moe", {{"norm_topk_prob", true}}).moe.router.is_normalized);
  EXPECT_EQ(configure("phimoe").moe.router.kind, RouterKind::sparse_mixer);
  EXPECT_EQ(configure("granitemoe").moe.router.kind, RouterKind::kept_softmax);
  EXPECT_TRUE(configure("gpt_oss").moe.router.has_bias);
}

TEST(Experts, DeepSeekV3ChoosesGroupsWithACorrection) {
  RouterConfig router = configure("deepseek_v3").moe.router;
  EXPECT_EQ(router.kind, RouterKind::sigmoid);
  EXPECT_TRUE(router.has_choice_bias && router.is_normalized);
  EXPECT_EQ(router.group_score, GroupScore::two_best);
  EXPECT_EQ(fmt::format("{} of {}, times {}", router.kept_groups, router.groups, router.scale), "4 of 8, times 2.5");
}

TEST(Experts, DeepSeekV2NormalizesOrScales) {
  json scaled{{"routed_scaling_factor", 16.0}, {"topk_method", "group_limited_greedy"}, {"n_group", 8}, {"topk_group", 3}};
  RouterConfig router = configure("deepseek_v2", scaled).moe.router;
  EXPECT_EQ(fmt::format("{} of {}, times {}", router.kept_groups, router.groups, router.scale), "3 of 8, times 16");
  scaled["norm_topk_prob"] = true;
  EXPECT_EQ(configure("deepseek_v2", scaled).moe.router.scale, 1);
}

TEST(Experts, GroupsCountOnlyWhereTheMethodHasThem) {
  RouterConfig router = configure("deepseek_v2", {{"n_group", 8}, {"topk_group", 3}}).moe.router;
  EXPECT_EQ(router.groups, 1);
}

TEST(Experts, SharedExpertsStandBesideTheOthers) {
  auto qwen = configure("qwen2_moe", {{"shared_expert_intermediate_size", 77}}).moe.shared;
  ASSERT_TRUE(qwen);
  EXPECT_TRUE(qwen->intermediate == 77 && qwen->has_gate);
  auto deepseek = configure("deepseek_v3", {{"n_shared_experts", 3}, {"moe_intermediate_size", 10}}).moe.shared;
  ASSERT_TRUE(deepseek);
  EXPECT_TRUE(deepseek->intermediate == 30 && !deepseek->has_gate);
  EXPECT_FALSE(configure("deepseek_v2", {{"n_shared_experts", nullptr}}).moe.shared);
  EXPECT_FALSE(configure("qwen3_moe").moe.shared);
}

TEST(Experts, MoreCannotBeChosenThanThereAre) {
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"config.json", "9 experts", "8"}, [] { configure("mixtral", {{"num_experts_per_tok", 9}}); }));
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"config.json", "8 experts", "7"}, [] { configure("qwen3_moe", {{"num_experts", 7}}); }));
}

TEST(Experts, CountsArePositiveAndBounded) {
  for (const json& count : {json(0), json(-1), json("8"), json(1.5)})
    EXPECT_TRUE(fails(ErrorKind::corrupt, {"config.json", "num_experts"}, [&] { configure("olmoe", {{"num_experts", count}}); })) << count;
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"config.json", "2147483648 experts"}, [] { configure("olmoe", {{"num_experts", 2147483648}}); }));
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"num_experts_per_tok"}, [] { configure("gpt_oss", {{"num_experts_per_tok", 0}}); }));
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"decoder_sparse_step"}, [] { configure("qwen2_moe", {{"decoder_sparse_step", 0}}); }));
}

TEST(Experts, GroupsHaveToDivideTheExperts) {
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"256 experts", "7 groups"}, [] { configure("deepseek_v3", {{"n_group", 7}}); }));
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"9 groups", "8"}, [] { configure("deepseek_v3", {{"topk_group", 9}}); }));
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"two best"}, [] { configure("deepseek_v3", {{"n_group", 256}}); }));
}

TEST(Experts, UnknownRoutingIsUnsupported) {
  EXPECT_TRUE(fails(ErrorKind::unsupported, {"scoring_func", "tanh"}, [] { configure("deepseek_v3", {{"scoring_func", "tanh"}}); }));
  EXPECT_TRUE(fails(ErrorKind::unsupported, {"topk_method", "fast"}, [] { configure("deepseek_v2", {{"topk_method", "fast"}}); }));
  EXPECT_TRUE(fails(ErrorKind::unsupported, {"2 experts", "3"}, [] { configure("phimoe", {{"num_experts_per_tok", 3}}); }));
}

TEST(LatentAttention, HasSizesOfItsOwn) {
  DecoderConfig c = configure("deepseek_v3", {{"q_lora_rank", nullptr}, {"qk_nope_head_dim", 16}, {"qk_rope_head_dim", 8}});
  ASSERT_TRUE(c.attention.latent);
  const LatentConfig& latent = *c.attention.latent;
  EXPECT_EQ(fmt::format("{} {} {} {} {}", latent.query_rank, latent.rank, latent.plain_dim, latent.rotated_dim, latent.value_dim),
            "0 512 16 8 128");
  EXPECT_EQ(c.ropes.at(0).dims, 8);
  EXPECT_EQ(configure("deepseek_v2").attention.latent->query_rank, 1536);
}

TEST(LatentAttention, YarnScalesTheScores) {
  json yarn{{"rope_scaling", {{"type", "yarn"}, {"factor", 40}, {"mscale", 1.0}, {"mscale_all_dim", 1.0}}}};
  float plain = configure("deepseek_v3").attention.scale, mscale = 0.1f * std::log(40.0f) + 1;
  EXPECT_FLOAT_EQ(plain, 1 / std::sqrt(192.0f));
  EXPECT_FLOAT_EQ(configure("deepseek_v3", yarn).attention.scale, plain * mscale * mscale);
  EXPECT_FLOAT_EQ(configure("deepseek_v2", yarn).attention.scale, plain * mscale * mscale);
}

TEST(LatentAttention, PartsOfAKeyMustAddUp) {
  EXPECT_NO_THROW(configure("deepseek_v3", {{"qk_head_dim", 192}}));
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"qk_head_dim", "190", "128", "64"}, [] { configure("deepseek_v3", {{"qk_head_dim", 190}}); }));
}

TEST(LatentAttention, AbsurdSizesAreRejected) {
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"config.json", "100000"}, [] { configure("deepseek_v3", {{"v_head_dim", 100000}}); }));
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"config.json", "rotated"}, [] { configure("deepseek_v3", {{"qk_rope_head_dim", 7}}); }));
}

// Graphs.

namespace {

json mixtral() { return {{"model_type", "mixtral"}, {"num_local_experts", 3}, {"num_experts_per_tok", 2}, {"intermediate_size", 32}}; }

/// The MLPs of the tiny weights as experts that are all alike.
void make_experts(Tensors& tensors) {
  for (int layer : {0, 1}) {
    std::string path = fmt::format("model.layers.{}.", layer);
    tensors[path + "block_sparse_moe.gate.weight"] = convert(Tensor(ElementType::f32, {3, 64}), ElementType::f16);
    for (int e : {0, 1, 2})
      for (auto [from, to] : {std::pair{"gate_proj", "w1"}, {"up_proj", "w3"}, {"down_proj", "w2"}})
        tensors[fmt::format("{}block_sparse_moe.experts.{}.{}.weight", path, e, to)] =
            tensors.at(fmt::format("{}mlp.{}.weight", path, from));
    for (const char* part : {"gate_proj", "up_proj", "down_proj"}) tensors.erase(fmt::format("{}mlp.{}.weight", path, part));
  }
}

Graph build(const std::function<void(Tensors&)>& change = {}) {
  TinyCheckpoint checkpoint(mixtral(), ElementType::f16, [&](Tensors& tensors) {
    make_experts(tensors);
    if (change) change(tensors);
  });
  return build_checkpoint_graph(checkpoint.path(), FloatFormat::stored);
}

}  // namespace

TEST(ExpertsGraph, StacksTheMatricesOfAllExperts) {
  Graph graph = build();
  std::vector<std::string> stacks;
  for (Node* node : graph.of_type("Constant"))
    if (node->constant().shape().size() == 3 && node->name().find("experts") != std::string::npos)
      stacks.push_back(node->name().substr(std::string("self.model.layers.0.").size()) + to_string(node->constant().shape()));
  std::sort(stacks.begin(), stacks.end());
  stacks.erase(std::unique(stacks.begin(), stacks.end()), stacks.end());
  EXPECT_EQ(stacks, (std::vector<std::string>{"block_sparse_moe.experts.down_proj._openvino_orig_weight[3,64,32]",
                                              "block_sparse_moe.experts.gate_proj._openvino_orig_weight[3,32,64]",
                                              "block_sparse_moe.experts.up_proj._openvino_orig_weight[3,32,64]"}));
}

TEST(ExpertsGraph, MissingExpertIsNamed) {
  std::string name = "model.layers.1.block_sparse_moe.experts.2.w3.weight";
  EXPECT_TRUE(fails(ErrorKind::not_found, {name}, [&] { build([&](Tensors& tensors) { tensors.erase(name); }); }));
}

TEST(ExpertsGraph, MissingRouterIsNamed) {
  std::string name = "model.layers.0.block_sparse_moe.gate.weight";
  EXPECT_TRUE(fails(ErrorKind::not_found, {name}, [&] { build([&](Tensors& tensors) { tensors.erase(name); }); }));
}

TEST(ExpertsGraph, ExpertOfAnotherSizeIsNamed) {
  std::string name = "model.layers.0.block_sparse_moe.experts.1.w2.weight";
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"model.layers.0.block_sparse_moe.experts.", "w2.weight", "config.json"}, [&] {
    build([&](Tensors& tensors) { tensors[name] = convert(Tensor(ElementType::f32, {64, 40}), ElementType::f16); });
  }));
}

}  // namespace nibble
