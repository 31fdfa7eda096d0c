#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "ir/reader.hpp"
#include "model_session.hpp"

namespace nibble {

using test::expected_tensor;
using test::MaskRows;
using test::ModelSession;

namespace {

namespace fs = std::filesystem;

std::vector<std::string> reference_directories(const fs::path& root) {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(root))
    if (fs::exists(entry.path() / "expected.safetensors")) found.push_back(entry.path().string());
  std::sort(found.begin(), found.end());
  return found;
}

/// Row `index` of a [n, ...] tensor.
Tensor row(const Tensor& tensor, int64_t index) {
  Shape shape(tensor.shape().begin() + 1, tensor.shape().end());
  auto values = to_floats(tensor);
  size_t size = element_count(shape);
  return Tensor::from<float>(shape, std::span(values).subspan(static_cast<size_t>(index) * size, size));
}

void check_decoding(ModelSession& session, const WeightSource& expected, double tolerance) {
  SCOPED_TRACE("decoding");
  auto ids = to_int64s(expected_tensor(expected, "decode_ids"));
  Tensor logits = row(expected_tensor(expected, "decode_logits"), 0);
  auto past = static_cast<size_t>(expected.info("input_ids").shape[1]);
  for (size_t step = 0; step < ids.size(); ++step)
    test::expect_logits(session.extend({ids[step]}, past + step), row(logits, static_cast<int64_t>(step)), tolerance);
}

/// Two steps whose rows continue the states of other rows.
void check_beams(ModelSession& session, const WeightSource& expected, MaskRows mask, double tolerance) {
  SCOPED_TRACE("beams");
  auto beams = to_int64s(expected_tensor(expected, "beam_idx")), ids = to_int64s(expected_tensor(expected, "beam_ids"));
  Tensor logits = expected_tensor(expected, "beam_logits");
  for (size_t step = 0; step < 2; ++step) {
    std::vector<int32_t> chosen{static_cast<int32_t>(beams[2 * step]), static_cast<int32_t>(beams[2 * step + 1])};
    mask = {mask.at(static_cast<size_t>(chosen[0])), mask.at(static_cast<size_t>(chosen[1]))};
    for (auto& sequence : mask) sequence.push_back(1);
    Tensor actual = session.run(test::integers({2, 1}, {ids[2 * step], ids[2 * step + 1]}), mask, chosen);
    test::expect_logits(actual, row(logits, static_cast<int64_t>(step)), tolerance);
  }
}

void check_directory(const fs::path& directory) {
  SCOPED_TRACE(directory.string());
  std::ifstream file(directory / "expected.json");
  double tolerance = nlohmann::json::parse(file)["tolerance"]["float32_engine_max_abs_diff"];
  auto expected = open_safetensors(directory / "expected.safetensors");
  Context context;
  ModelSession session(read_ir(directory / "openvino_model.xml"), context);
  test::check_prompt(session, *expected, tolerance);
  check_decoding(session, *expected, tolerance);
  MaskRows mask = test::check_batch(session, *expected, tolerance);
  check_beams(session, *expected, mask, tolerance);
}

class ReferenceOnIr : public testing::TestWithParam<std::string> {};

TEST_P(ReferenceOnIr, AgreesWithOpenVino) { check_directory(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Directories, ReferenceOnIr, testing::ValuesIn(reference_directories(test::data_path("ir"))), [](const auto& test) {
  std::string name = fs::path(test.param).filename().string();
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(ReferenceOnIrFixtures, AllAgreeWithOpenVino) {
  const char* fixtures = std::getenv("NIBBLE_FIXTURES");
  if (!fixtures) GTEST_SKIP() << "NIBBLE_FIXTURES does not name a folder with more models";
  auto directories = reference_directories(fs::path(fixtures) / "ir");
  ASSERT_FALSE(directories.empty());
  for (const auto& directory : directories) check_directory(directory);
}

}  // namespace
}  // namespace nibble
