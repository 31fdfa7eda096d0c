// LoRA adapters merged into weights, against what PEFT merges (make_adapters.py).
#include <gmock/gmock.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/mapped_file.hpp"
#include "checkpoint/adapter/adapted_weights.hpp"
#include "checkpoint/memory_weights.hpp"
#include "checkpoint/prequantized/prequantized.hpp"
#include "checkpoint/safetensors_writer.hpp"
#include "checkpoint/samples.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

namespace fs = std::filesystem;

using samples::fails;
using samples::MemoryWeights;

constexpr float kTolerance = 2e-6f;  // of sums of some products of about 1 in f32, in another order

std::vector<std::string> cases() {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(samples::data("adapters"))) found.push_back(entry.path().filename().string());
  std::sort(found.begin(), found.end());
  return found;
}

fs::path case_path(const std::string& name) { return samples::data("adapters/" + name); }

std::shared_ptr<MemoryWeights> in_memory(const fs::path& file) {
  auto weights = std::make_shared<MemoryWeights>();
  auto stored = open_safetensors(file);
  for (const std::string& name : stored->names()) weights->tensors[name] = stored->get(name);
  return weights;
}

/// All numbers of a weight, [outputs, inputs] where it is adapted.
std::vector<float> numbers(const WeightSource& weights, const std::string& name) {
  auto matrix = weights.encoded(name);
  if (!matrix) return to_floats(weights.get(name));
  std::vector<float> all(element_count(matrix->shape()));
  matrix->read_rows(0, static_cast<int64_t>(all.size()) / matrix->shape()[1], all);
  return all;
}

std::vector<float> transposed(const Tensor& tensor) {
  auto rows = static_cast<size_t>(tensor.shape()[0]), columns = static_cast<size_t>(tensor.shape()[1]);
  std::vector<float> from = to_floats(tensor), to(from.size());
  for (size_t i = 0; i < from.size(); ++i) to[i % columns * rows + i / columns] = from[i];
  return to;
}

class AdapterCase : public ::testing::TestWithParam<std::string> {};

TEST_P(AdapterCase, WeightsAreThoseThatPeftMerges) {
  auto model = in_memory(case_path(GetParam()) / "model.safetensors");
  auto merged = merge_adapter(model, case_path(GetParam()));
  auto expected = open_safetensors(case_path(GetParam()) / "expected.safetensors");
  EXPECT_EQ(merged->names(), model->names());
  for (const std::string& name : merged->names()) {
    SCOPED_TRACE(name);
    auto matrix = merged->encoded(name);
    if (!expected->contains(name)) {
      EXPECT_FALSE(matrix);
      EXPECT_EQ(numbers(*merged, name), to_floats(model->get(name)));
      continue;
    }
    Tensor wanted = expected->get(name);
    bool is_conv1d = matrix && GetParam().starts_with("conv1d");
    EXPECT_THAT(numbers(*merged, name),
                ::testing::Pointwise(::testing::FloatNear(kTolerance), is_conv1d ? transposed(wanted) : to_floats(wanted)));
  }
}

TEST_P(AdapterCase, PartsOfRowsAreThoseOfWholeRows) {
  auto merged = merge_adapter(in_memory(case_path(GetParam()) / "model.safetensors"), case_path(GetParam()));
  for (const std::string& name : merged->names())
    if (auto matrix = merged->encoded(name)) {
      std::vector<float> all = numbers(*merged, name), part(7);
      auto columns = static_cast<size_t>(matrix->shape()[1]);
      matrix->read(3, 5, part);
      EXPECT_TRUE(std::equal(part.begin(), part.end(), all.begin() + static_cast<std::ptrdiff_t>(3 * columns + 5))) << name;
      EXPECT_FALSE(matrix->grid());
    }
}

INSTANTIATE_TEST_SUITE_P(All, AdapterCase, ::testing::ValuesIn(cases()), [](const auto& test) {
  std::string name = test.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

/// An adapter whose files a test changes.
class ChangedAdapter {
 public:
  explicit ChangedAdapter(const std::string& name)
      : model(in_memory(case_path(name) / "model.safetensors")), adapter(in_memory(case_path(name) / "adapter_model.safetensors")) {
    config = nlohmann::json::parse(read_file(case_path(name) / "adapter_config.json"));
  }
  const fs::path& write() const {
    directory_.write("adapter_config.json", config.dump());
    write_safetensors(directory_.path() / "adapter_model.safetensors", adapter->tensors);
    return directory_.path();
  }
  std::shared_ptr<const WeightSource> merge() const { return merge_adapter(model, write()); }
  ::testing::AssertionResult refuses(ErrorKind kind, const std::vector<std::string>& parts) const {
    return fails(kind, parts, [&] { merge(); });
  }

  std::shared_ptr<MemoryWeights> model, adapter;
  nlohmann::json config;

 private:
  samples::Directory directory_;
};

const std::string kQueryA = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";

TEST(Adapter, TwoAreMergedOneAfterTheOther) {
  ChangedAdapter first("lora"), second("lora");
  auto merged = merge_adapter(merge_adapter(first.model, case_path("lora")), case_path("lora"));
  auto once = numbers(*merge_adapter(first.model, case_path("lora")), "model.layers.0.self_attn.q_proj.weight");
  auto twice = numbers(*merged, "model.layers.0.self_attn.q_proj.weight");
  auto plain = to_floats(first.model->get("model.layers.0.self_attn.q_proj.weight"));
  for (size_t i = 0; i < plain.size(); ++i) EXPECT_NEAR(twice[i], plain[i] + 2 * (once[i] - plain[i]), kTolerance);
}

TEST(Adapter, HalfPrecisionWeightsBecomeHalves) {
  ChangedAdapter changed("lora");
  Tensor& weight = changed.model->tensors.at("model.layers.0.self_attn.q_proj.weight");
  weight = convert(weight, ElementType::bf16);
  auto merged = changed.merge();
  EXPECT_EQ(merged->info("model.layers.0.self_attn.q_proj.weight").type, ElementType::f16);
  EXPECT_EQ(merged->get("model.layers.0.self_attn.q_proj.weight").type(), ElementType::f16);
  EXPECT_EQ(merged->info("model.layers.1.self_attn.q_proj.weight").type, ElementType::f32);
}

TEST(Adapter, QuantizedWeightsAreDecodedAndAdapted) {
  fs::path quantized = samples::data("quantized/gptq-4bit-sym");
  auto model = open_quantized_layers(quantized, open_checkpoint(quantized)).weights;
  ChangedAdapter changed("lora");
  changed.adapter->tensors = {{"base_model.model.model.a.lora_A.weight", Tensor(ElementType::f32, {4, 96})},
                              {"base_model.model.model.a.lora_B.weight", Tensor(ElementType::f32, {32, 4})}};
  changed.adapter->tensors.at("base_model.model.model.a.lora_A.weight").as_mutable<float>()[96 + 7] = 2;
  changed.adapter->tensors.at("base_model.model.model.a.lora_B.weight").as_mutable<float>()[5 * 4 + 1] = 0.5f;
  auto before = numbers(*model, "model.a.weight");
  auto merged = merge_adapter(model, changed.write());
  EXPECT_FALSE(merged->encoded("model.a.weight")->grid());
  EXPECT_TRUE(merged->encoded("model.b.weight")->grid());
  before[5 * 96 + 7] += 3.0f * 2 * 0.5f;  // alpha 12, rank 4
  EXPECT_EQ(numbers(*merged, "model.a.weight"), before);
}

TEST(Adapter, CheckpointsOfTheBareModelAreAdaptedToo) {
  ChangedAdapter changed("lora");
  auto bare = std::make_shared<MemoryWeights>();
  for (const auto& [name, tensor] : changed.model->tensors) bare->tensors[name.starts_with("model.") ? name.substr(6) : name] = tensor;
  auto merged = merge_adapter(bare, case_path("lora"));
  EXPECT_TRUE(merged->encoded("layers.0.self_attn.q_proj.weight"));
}

TEST(Adapter, UnknownModulesAreNamed) {
  ChangedAdapter changed("lora");
  changed.adapter->tensors["base_model.model.model.layers.7.self_attn.q_proj.lora_A.weight"] = Tensor(ElementType::f32, {4, 16});
  changed.adapter->tensors["base_model.model.model.layers.7.self_attn.q_proj.lora_B.weight"] = Tensor(ElementType::f32, {16, 4});
  EXPECT_TRUE(changed.refuses(ErrorKind::not_found, {"model.layers.7.self_attn.q_proj.weight", "does not have"}));
  ChangedAdapter saved("saved");
  saved.model->tensors.erase("lm_head.weight");
  EXPECT_TRUE(saved.refuses(ErrorKind::not_found, {"lm_head.weight", "shares the embeddings"}));
}

TEST(Adapter, ShapesThatDoNotFitAreNamed) {
  ChangedAdapter changed("lora");
  changed.adapter->tensors.at(kQueryA) = Tensor(ElementType::f32, {4, 17});
  EXPECT_TRUE(changed.refuses(ErrorKind::corrupt, {"model.layers.0.self_attn.q_proj.weight", "[16,17]", "[16,16]"}));
  changed.adapter->tensors.at(kQueryA) = Tensor(ElementType::f32, {3, 16});
  EXPECT_TRUE(changed.refuses(ErrorKind::corrupt, {"model.layers.0.self_attn.q_proj", "rank 3 and 4"}));
  changed.adapter->tensors.at(kQueryA) = Tensor(ElementType::i32, {4, 16});
  EXPECT_TRUE(changed.refuses(ErrorKind::corrupt, {kQueryA, "i32"}));
  ChangedAdapter saved("saved");
  saved.adapter->tensors.at("base_model.model.lm_head.weight") = Tensor(ElementType::f32, {25, 16});
  EXPECT_TRUE(saved.refuses(ErrorKind::corrupt, {"lm_head.weight", "[25,16]", "[24,16]"}));
}

TEST(Adapter, MissingFactorsAreNamed) {
  ChangedAdapter changed("lora");
  changed.adapter->tensors.erase(kQueryA);
  EXPECT_TRUE(changed.refuses(ErrorKind::corrupt, {"model.layers.0.self_attn.q_proj", "both factors"}));
  ChangedAdapter dora("dora");
  std::erase_if(dora.adapter->tensors, [](const auto& entry) { return entry.first.find("magnitude") != std::string::npos; });
  EXPECT_TRUE(dora.refuses(ErrorKind::corrupt, {"lacks magnitudes", "use_dora"}));
}

TEST(Adapter, TensorsThatAreNotUnderstoodAreNamed) {
  ChangedAdapter changed("lora");
  changed.adapter->tensors["model.layers.0.self_attn.q_proj.lora_A.weight"] = Tensor(ElementType::f32, {4, 16});
  EXPECT_TRUE(changed.refuses(ErrorKind::unsupported, {"model.layers.0.self_attn.q_proj.lora_A.weight", "base_model.model."}));
}

TEST(Adapter, OtherMethodsAreRefusedByName) {
  for (const char* type : {"IA3", "PROMPT_TUNING", "LOHA", "ADALORA"}) {
    ChangedAdapter changed("lora");
    changed.config["peft_type"] = type;
    EXPECT_TRUE(changed.refuses(ErrorKind::unsupported, {type, "LORA"}));
  }
  for (const auto& [key, value] : std::map<std::string, nlohmann::json>{{"layer_replication", {{0, 4}, {2, 5}}},
                                                                        {"lora_bias", true},
                                                                        {"trainable_token_indices", {1, 2}},
                                                                        {"alora_invocation_tokens", {1}}}) {
    ChangedAdapter changed("lora");
    changed.config[key] = value;
    EXPECT_TRUE(changed.refuses(ErrorKind::unsupported, {key, "merge the adapter with PEFT"}));
  }
  ChangedAdapter changed("lora");
  changed.config["init_lora_weights"] = "pissa_niter_4";
  EXPECT_TRUE(changed.refuses(ErrorKind::unsupported, {"pissa_niter_4"}));
}

TEST(Adapter, WrongConfigurationsAreRefused) {
  auto refused = [](const char* key, const nlohmann::json& value, const std::string& part) {
    ChangedAdapter changed("patterns");
    changed.config[key] = value;
    return changed.refuses(ErrorKind::corrupt, {"adapter_config.json", part});
  };
  EXPECT_TRUE(refused("r", 0, "\"r\""));
  EXPECT_TRUE(refused("lora_alpha", "many", "\"lora_alpha\""));
  EXPECT_TRUE(refused("use_dora", 1, "\"use_dora\""));
  EXPECT_TRUE(refused("rank_pattern", {{"(", 2}}, "'('"));
  EXPECT_TRUE(refused("rank_pattern", {{"(((.+)+)+)+[!?]", 2}}, "too long"));
  EXPECT_TRUE(refused("peft_type", nullptr, "peft_type"));
}

TEST(Adapter, MissingFilesAreNamed) {
  samples::Directory empty;
  auto model = std::make_shared<MemoryWeights>();
  EXPECT_TRUE(
      fails(ErrorKind::not_found, {"adapter_model.safetensors", empty.path().string()}, [&] { merge_adapter(model, empty.path()); }));
}

}  // namespace

}  // namespace nibble
