// Layers of quantized checkpoints: codes, scales and numbers, against what the packages that write them compute (make_quantized.py).
#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "base/mapped_file.hpp"
#include "checkpoint/memory_weights.hpp"
#include "checkpoint/prequantized/prequantized.hpp"
#include "checkpoint/samples.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

namespace fs = std::filesystem;

using samples::fails;
using samples::MemoryWeights;

std::vector<std::string> cases() {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(samples::data("quantized"))) found.push_back(entry.path().filename().string());
  std::sort(found.begin(), found.end());
  return found;
}

fs::path case_path(const std::string& name) { return samples::data("quantized/" + name); }

QuantizedCheckpoint open_case(const std::string& name) { return open_quantized_layers(case_path(name), open_checkpoint(case_path(name))); }

struct Codes {
  std::vector<uint8_t> codes, zero_points;
  std::vector<float> scales;
};

Codes read_all_codes(const EncodedMatrix& matrix) {
  const CodeGrid& grid = *matrix.grid();
  int64_t columns = matrix.shape().back(), rows = static_cast<int64_t>(element_count(matrix.shape())) / columns;
  auto groups = static_cast<size_t>(rows * (columns / grid.group_size));
  Codes all{std::vector<uint8_t>(static_cast<size_t>(rows * columns)), std::vector<uint8_t>(grid.has_zero_points ? groups : 0),
            std::vector<float>(groups)};
  matrix.read_code_rows(0, rows, all.codes, all.scales, all.zero_points);
  return all;
}

float code_value(ElementType type, uint8_t code) {
  std::byte packed[2] = {static_cast<std::byte>(code), std::byte{0}};
  float value = 0;
  unpack_to_float(type, packed, 0, {&value, 1});
  return value;
}

/// The matrix that a grid stands for.
std::vector<float> decode_grid(const EncodedMatrix& matrix) {
  const CodeGrid& grid = *matrix.grid();
  Codes all = read_all_codes(matrix);
  auto columns = static_cast<size_t>(matrix.shape().back()), group = static_cast<size_t>(grid.group_size);
  auto order = matrix.column_order();
  std::vector<float> out(all.codes.size());
  for (size_t i = 0; i < out.size(); ++i) {
    size_t row = i / columns, column = i % columns, g = i / group;
    float zero = all.zero_points.empty() ? 0 : code_value(grid.codes, all.zero_points[g]);
    out[row * columns + (order.empty() ? column : static_cast<size_t>(order[column]))] =
        (code_value(grid.codes, all.codes[i]) - zero) * all.scales[g];
  }
  return out;
}

std::vector<float> read_by_rows(const EncodedMatrix& matrix) {
  auto columns = static_cast<size_t>(matrix.shape().back());
  std::vector<float> out(element_count(matrix.shape()));
  for (size_t row = 0; row * columns < out.size(); ++row) {
    std::span<float> line = std::span(out).subspan(row * columns, columns);
    size_t begin = 0;
    for (size_t step : {1, 6, 31, 10000}) {  // at any column
      size_t count = std::min(step, columns - begin);
      matrix.read(static_cast<int64_t>(row), static_cast<int64_t>(begin), line.subspan(begin, count));
      begin += count;
    }
  }
  return out;
}

class QuantizedCase : public ::testing::TestWithParam<std::string> {};

TEST_P(QuantizedCase, LayersHoldTheNumbersThatTheyStandFor) {
  auto checkpoint = open_case(GetParam());
  auto expected = open_safetensors(case_path(GetParam()) / "expected.safetensors");
  for (const std::string& name : expected->names()) {
    SCOPED_TRACE(name);
    auto matrix = checkpoint.weights->encoded(name);
    ASSERT_TRUE(matrix);
    EXPECT_EQ(matrix->shape(), expected->info(name).shape);
    EXPECT_EQ(checkpoint.weights->info(name).shape, matrix->shape());
    std::vector<float> wanted = to_floats(expected->get(name));
    EXPECT_EQ(read_by_rows(*matrix), wanted);
    std::vector<float> rows(wanted.size());
    matrix->read_rows(0, static_cast<int64_t>(wanted.size()) / matrix->shape().back(), rows);
    EXPECT_EQ(rows, wanted);
    if (matrix->grid()) {
      EXPECT_EQ(decode_grid(*matrix), wanted);
    }
  }
}

TEST_P(QuantizedCase, TakeThePlaceOfTheirTensors) {
  auto checkpoint = open_case(GetParam());
  auto expected = open_safetensors(case_path(GetParam()) / "expected.safetensors");
  std::vector<std::string> names = expected->names();
  names.push_back("plain.weight");
  EXPECT_THAT(checkpoint.weights->names(), ::testing::ElementsAreArray(names));
  EXPECT_FALSE(checkpoint.weights->contains("model.a.qweight"));
  EXPECT_FALSE(checkpoint.weights->encoded("plain.weight"));
  Tensor decoded = checkpoint.weights->get("model.a.weight");
  EXPECT_EQ(decoded.type(), ElementType::f16);
  EXPECT_EQ(decoded.shape(), expected->info("model.a.weight").shape);
}

INSTANTIATE_TEST_SUITE_P(All, QuantizedCase, ::testing::ValuesIn(cases()), [](const auto& test) {
  std::string name = test.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

/// "u4 32 zeros f16", and " ordered" with an order of columns; "floats" without a grid.
std::string describe_grid(const std::string& directory, const std::string& layer) {
  auto matrix = open_case(directory).weights->encoded("model." + layer + ".weight");
  if (!matrix->grid()) return "floats";
  const CodeGrid& grid = *matrix->grid();
  return std::string(to_string(grid.codes)) + " " + std::to_string(grid.group_size) + (grid.has_zero_points ? " zeros " : " ") +
         std::string(to_string(grid.scales)) + (matrix->column_order().empty() ? "" : " ordered");
}

TEST(QuantizedGrid, OneZeroPointInTheMiddleMakesCodesSigned) {
  EXPECT_EQ(describe_grid("gptq-4bit-sym", "a"), "i4 32 f16");
  EXPECT_EQ(describe_grid("gptq-4bit-asym-v2", "a"), "u4 32 zeros f16");
  EXPECT_EQ(describe_grid("gptq-8bit", "a"), "u8 32 zeros f16");
  EXPECT_EQ(describe_grid("gptq-8bit", "b"), "i8 64 f16");
  EXPECT_EQ(describe_grid("gptq-2bit", "b"), "i4 32 f16");
  EXPECT_EQ(describe_grid("awq-gemm", "a"), "u4 32 zeros f16");
  EXPECT_EQ(describe_grid("awq-gemm", "b"), "i4 32 f16");
  EXPECT_EQ(describe_grid("awq-no-zero-point", "a"), "i4 32 f16");
  EXPECT_EQ(describe_grid("ct-pack-sym", "a"), "i4 32 f32");
  EXPECT_EQ(describe_grid("ct-int8", "a"), "i8 48 f32");
}

TEST(QuantizedGrid, GroupsOfColumnsOutOfOrderComeInAnOrder) {
  EXPECT_EQ(describe_grid("gptq-actorder", "a"), "u4 32 zeros f16 ordered");
  EXPECT_EQ(describe_grid("gptq-actorder", "b"), "i4 32 f16 ordered");
  EXPECT_EQ(describe_grid("ct-pack-actorder", "a"), "u4 32 zeros f32 ordered");
  EXPECT_EQ(describe_grid("gptq-uneven", "a"), "floats");
}

TEST(QuantizedGrid, GroupsThatAreFilledInPartAreSplitEvenly) {
  EXPECT_EQ(describe_grid("gptq-partial-group", "a"), "u4 32 zeros f16");
  EXPECT_EQ(describe_grid("fp8-block", "a"), "f8e4m3 16 f32");
  EXPECT_EQ(describe_grid("fp8-block", "b"), "f8e4m3 32 f32");
}

TEST(QuantizedGrid, FloatCodesKeepTheirTypes) {
  EXPECT_EQ(describe_grid("mxfp4", "a"), "f4e2m1 32 f8e8m0");
  EXPECT_EQ(describe_grid("ct-mxfp4", "a"), "f4e2m1 32 f8e8m0");
  EXPECT_EQ(describe_grid("ct-mxfp8", "a"), "f8e4m3 32 f8e8m0");
  EXPECT_EQ(describe_grid("ct-nvfp4", "a"), "f4e2m1 16 f32");
  EXPECT_EQ(describe_grid("bnb-nf4", "a"), "nf4 64 f32");
  EXPECT_EQ(describe_grid("bnb-nf4", "b"), "floats") << "blocks go over the ends of rows";
  EXPECT_EQ(describe_grid("bnb-fp4", "a"), "floats") << "not the levels of f4e2m1";
}

/// A case whose tensors and configuration a test changes.
class ChangedCase {
 public:
  explicit ChangedCase(const std::string& name) : weights_(std::make_shared<MemoryWeights>()) {
    auto stored = open_checkpoint(case_path(name));
    for (const std::string& tensor : stored->names()) weights_->tensors[tensor] = stored->get(tensor);
    config_ = nlohmann::json::parse(read_file(case_path(name) / "config.json"));
  }
  Tensor& operator[](const std::string& name) { return weights_->tensors.at(name); }
  void erase(const std::string& name) { weights_->tensors.erase(name); }
  std::map<std::string, Tensor>& tensors() { return weights_->tensors; }
  nlohmann::json& config() { return config_["quantization_config"]; }
  nlohmann::json& whole_config() { return config_; }
  fs::path write(std::string_view name, std::string_view text) const { return directory_.write(name, text); }
  QuantizedCheckpoint open() const {
    directory_.write("config.json", config_.dump());
    return open_quantized_layers(directory_.path(), weights_);
  }
  ::testing::AssertionResult refuses(ErrorKind kind, const std::vector<std::string>& parts) const {
    return fails(kind, parts, [&] { open(); });
  }

 private:
  samples::Directory directory_;
  std::shared_ptr<MemoryWeights> weights_;
  nlohmann::json config_;
};

TEST(QuantizedCheckpoint, MissingTensorsAreNamed) {
  for (const auto& [name, tensor] : std::map<std::string, std::string>{{"gptq-4bit-sym", "qzeros"},
                                                                       {"gptq-4bit-sym", "scales"},
                                                                       {"awq-gemm", "qzeros"},
                                                                       {"ct-pack-sym", "weight_shape"},
                                                                       {"ct-pack-asym", "weight_scale"},
                                                                       {"ct-nvfp4", "weight_global_scale"},
                                                                       {"bnb-nf4-nested", "weight.nested_absmax"},
                                                                       {"bnb-int8", "weight"}}) {
    ChangedCase changed(name);
    changed.erase("model.a." + tensor);
    EXPECT_TRUE(changed.refuses(ErrorKind::corrupt, {"model.a." + tensor, "missing"})) << name;
  }
}

TEST(QuantizedCheckpoint, ShapesThatContradictEachOtherAreNamed) {
  ChangedCase gptq("gptq-4bit-sym");
  gptq["model.a.scales"] = Tensor(ElementType::f16, {3, 31});
  EXPECT_TRUE(gptq.refuses(ErrorKind::corrupt, {"model.a.scales", "[3,31]", "[3,32]"}));
  ChangedCase packed("ct-pack-sym");
  packed["model.a.weight_shape"] = Tensor::from<int64_t>({2}, std::vector<int64_t>{24, INT64_MAX});
  EXPECT_TRUE(packed.refuses(ErrorKind::corrupt, {"'model.a'", "weight_shape"}));
  ChangedCase blocks("fp8-block");
  blocks["model.a.weight_scale_inv"] = Tensor(ElementType::f32, {2, 5});
  EXPECT_TRUE(blocks.refuses(ErrorKind::corrupt, {"model.a.weight_scale_inv", "[2,5]"}));
  ChangedCase state("bnb-nf4");
  state["model.a.weight.absmax"] = Tensor(ElementType::f32, {3});
  EXPECT_TRUE(state.refuses(ErrorKind::corrupt, {"model.a.weight.absmax", "[3]"}));
}

TEST(QuantizedCheckpoint, GroupsOutOfRangeAreRefused) {
  ChangedCase changed("gptq-actorder");
  changed["model.a.g_idx"] = changed["model.a.g_idx"].clone();
  changed["model.a.g_idx"].as_mutable<int32_t>()[5] = 4;
  EXPECT_TRUE(changed.refuses(ErrorKind::corrupt, {"model.a", "group 4", "there are 4"}));
  changed["model.a.g_idx"].as_mutable<int32_t>()[5] = -2;
  EXPECT_TRUE(changed.refuses(ErrorKind::corrupt, {"model.a", "group -2"}));
}

TEST(QuantizedCheckpoint, TypesThatCodesCannotHaveAreRefused) {
  ChangedCase changed("gptq-4bit-sym");
  changed["model.a.qweight"] = Tensor(ElementType::f32, {12, 32});
  EXPECT_TRUE(changed.refuses(ErrorKind::corrupt, {"model.a.qweight", "holds f32", "i32"}));
}

TEST(QuantizedCheckpoint, UnknownMethodsAreRefusedByName) {
  for (const char* method : {"hqq", "aqlm", "quanto", "torchao", "eetq", "bitnet", "vptq"}) {
    ChangedCase changed("gptq-4bit-sym");
    changed.config()["quant_method"] = method;
    EXPECT_TRUE(changed.refuses(ErrorKind::unsupported, {method, "use the checkpoint they were made from", "gptq, awq"}));
  }
}

TEST(QuantizedCheckpoint, UnknownVariantsAreRefusedByName) {
  auto refused = [](const std::string& name, const char* key, const nlohmann::json& value, const std::string& shown) {
    ChangedCase changed(name);
    changed.config()[key] = value;
    return changed.refuses(ErrorKind::unsupported, {shown, "quantization_config"});
  };
  EXPECT_TRUE(refused("gptq-4bit-sym", "checkpoint_format", "marlin", "marlin"));
  EXPECT_TRUE(refused("gptq-4bit-sym", "is_marlin_format", true, "marlin"));
  EXPECT_TRUE(refused("awq-gemm", "version", "gemv_fast", "gemv_fast"));
  EXPECT_TRUE(refused("awq-gemm", "backend", "llm-awq", "llm-awq"));
  EXPECT_TRUE(refused("ct-pack-sym", "format", "marlin-24", "marlin-24"));
  EXPECT_TRUE(refused("ct-pack-sym", "format", "mxfp6-pack-quantized", "mxfp6-pack-quantized"));
  EXPECT_TRUE(refused("ct-pack-sym", "sparsity_config", {{"format", "sparse-24-bitmask"}}, "sparse-24-bitmask"));
  EXPECT_TRUE(refused("ct-pack-sym", "transform_config", {{"config_groups", {{"R1", 1}}}}, "transform_config"));
}

TEST(QuantizedCheckpoint, ConfigurationMayLieBesideConfigJson) {
  ChangedCase changed("gptq-4bit-sym");
  nlohmann::json beside = changed.config();
  beside.erase("quant_method");
  changed.whole_config().erase("quantization_config");
  EXPECT_TRUE(changed.refuses(ErrorKind::corrupt, {"model.a.qweight", "quantization_config", "missing"}));
  changed.write("quantize_config.json", beside.dump());
  EXPECT_EQ(changed.open().method, "gptq");

  ChangedCase awq("awq-gemm");
  awq.whole_config().erase("quantization_config");
  awq.write("quant_config.json", R"({"zero_point": true, "q_group_size": 32, "w_bit": 4, "version": "GEMM"})");
  EXPECT_EQ(awq.open().method, "awq");
}

TEST(QuantizedCheckpoint, LeftOverFilesDoNotMakePlainWeightsQuantized) {
  ChangedCase changed("gptq-4bit-sym");
  nlohmann::json beside = changed.config();
  std::erase_if(changed.tensors(), [](const auto& entry) { return entry.first != "plain.weight"; });
  EXPECT_TRUE(changed.refuses(ErrorKind::corrupt, {"gptq", "none is"}));
  changed.whole_config().erase("quantization_config");
  changed.write("quantize_config.json", beside.dump());
  EXPECT_EQ(changed.open().method, "");
}

TEST(QuantizedCheckpoint, ActivationsThatAreQuantizedTooAreNoted) {
  auto notes = open_case("fp8-block").notes;
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_THAT(notes[0], ::testing::HasSubstr("activation_scheme \"dynamic\""));
}

/// A tensor of the same or another type and shape with other content.
Tensor mutated(const Tensor& tensor, std::mt19937& random) {
  auto below = [&](size_t limit) { return std::uniform_int_distribution<size_t>(0, limit - 1)(random); };
  Shape shape = tensor.shape();
  ElementType type = tensor.type();
  switch (below(5)) {
    case 0: type = std::array{ElementType::i32, ElementType::u8, ElementType::f16, ElementType::f32, ElementType::i8}[below(5)]; break;
    case 1: std::reverse(shape.begin(), shape.end()); break;
    case 2:
      if (!shape.empty()) shape[below(shape.size())] = static_cast<int64_t>(below(70));
      break;
    case 3:
      if (!shape.empty()) shape.pop_back();
      break;
    default: break;
  }
  Tensor out(type, shape);
  auto* bytes = out.mutable_data();
  for (size_t i = 0; i < out.byte_size(); ++i)
    bytes[i] = below(3) && i < tensor.byte_size() ? tensor.data()[i] : static_cast<std::byte>(below(256));
  return out;
}

nlohmann::json mutated(const nlohmann::json& value, std::mt19937& random) {
  constexpr int64_t kNumbers[] = {0, 1, -1, 2, 3, 7, 16, 1 << 20, INT64_MAX, INT64_MIN};
  switch (random() % 4) {
    case 0: return nullptr;
    case 1: return "gptq";
    case 2: return nlohmann::json::array({kNumbers[random() % 10], kNumbers[random() % 10]});
    default: return value.is_boolean() ? nlohmann::json(!value.get<bool>()) : nlohmann::json(kNumbers[random() % 10]);
  }
}

void read_codes_and_numbers(const WeightSource& weights) {
  for (const std::string& name : weights.names()) {
    auto matrix = weights.encoded(name);
    if (!matrix) continue;
    read_by_rows(*matrix);
    if (matrix->grid()) read_all_codes(*matrix);
  }
}

TEST(QuantizedMutation, EndsInLayersOrInAnError) {
  std::mt19937 random(3);
  int opened = 0, refused = 0;
  for (const std::string& name : cases())
    for (int i = 0; i < 25; ++i) {
      ChangedCase changed(name);
      auto tensor = std::next(changed.tensors().begin(), static_cast<int64_t>(random() % changed.tensors().size()));
      if (random() % 3)
        tensor->second = mutated(tensor->second, random);
      else
        changed.tensors().erase(tensor);
      if (random() % 4 == 0) {
        auto flat = changed.config().flatten();
        auto entry = std::next(flat.begin(), static_cast<int64_t>(random() % flat.size()));
        changed.config()[nlohmann::json::json_pointer(entry.key())] = mutated(entry.value(), random);
      }
      try {
        read_codes_and_numbers(*changed.open().weights);
        ++opened;
      } catch (const Error&) {
        ++refused;
      }
    }
  EXPECT_GT(opened, 100);
  EXPECT_GT(refused, 100);
}

}  // namespace

}  // namespace nibble
