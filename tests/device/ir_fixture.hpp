#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "ir/reader.hpp"
#include "model_session.hpp"

namespace nibble::test {

/// An exported model with what OpenVINO computes for it (tests/data/ir, or the folder that NIBBLE_FIXTURES names).
class IrFixture {
 public:
  explicit IrFixture(std::filesystem::path directory)
      : directory_(std::move(directory)), expected_(open_safetensors(directory_ / "expected.safetensors")) {}

  Graph graph() const { return read_ir(directory_ / "openvino_model.xml"); }
  const WeightSource& expected() const { return *expected_; }
  Tensor tensor(std::string_view name) const { return expected_tensor(*expected_, name); }
  std::vector<int64_t> ids(std::string_view name) const { return to_int64s(tensor(name)); }
  const std::filesystem::path& directory() const { return directory_; }

 private:
  std::filesystem::path directory_;
  std::shared_ptr<WeightSource> expected_;
};

inline std::vector<std::string> fixture_directories(const std::filesystem::path& root) {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator(root))
    if (std::filesystem::exists(entry.path() / "expected.safetensors")) found.push_back(entry.path().string());
  std::sort(found.begin(), found.end());
  return found;
}

/// Those that are not part of the project; none when NIBBLE_FIXTURES is not set.
inline std::vector<std::string> more_fixture_directories() {
  const char* fixtures = std::getenv("NIBBLE_FIXTURES");
  return fixtures ? fixture_directories(std::filesystem::path(fixtures) / "ir") : std::vector<std::string>();
}

/// The name of a test about a directory.
inline std::string directory_name(const testing::TestParamInfo<std::string>& info) {
  std::string name = std::filesystem::path(info.param).filename().string();
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

/// Row `index` of a [n, ...] tensor.
inline Tensor row(const Tensor& tensor, int64_t index) {
  Shape shape(tensor.shape().begin() + 1, tensor.shape().end());
  auto values = to_floats(tensor);
  size_t size = element_count(shape);
  return Tensor::from<float>(shape, std::span<const float>(values).subspan(static_cast<size_t>(index) * size, size));
}

inline void check_decoding(ModelSession& session, const WeightSource& expected, double tolerance) {
  SCOPED_TRACE("decoding");
  auto ids = to_int64s(expected_tensor(expected, "decode_ids"));
  Tensor logits = row(expected_tensor(expected, "decode_logits"), 0);
  auto past = static_cast<size_t>(expected.info("input_ids").shape[1]);
  for (size_t step = 0; step < ids.size(); ++step)
    expect_logits(session.extend({ids[step]}, past + step), row(logits, static_cast<int64_t>(step)), tolerance);
}

/// Two steps whose rows continue the states of other rows.
inline void check_beams(ModelSession& session, const WeightSource& expected, MaskRows mask, double tolerance) {
  SCOPED_TRACE("beams");
  auto beams = to_int64s(expected_tensor(expected, "beam_idx")), ids = to_int64s(expected_tensor(expected, "beam_ids"));
  Tensor logits = expected_tensor(expected, "beam_logits");
  for (size_t step = 0; step < 2; ++step) {
    std::vector<int32_t> chosen{static_cast<int32_t>(beams[2 * step]), static_cast<int32_t>(beams[2 * step + 1])};
    mask = {mask.at(static_cast<size_t>(chosen[0])), mask.at(static_cast<size_t>(chosen[1]))};
    for (auto& sequence : mask) sequence.push_back(1);
    Tensor actual = session.run(integers({2, 1}, {ids[2 * step], ids[2 * step + 1]}), mask, chosen);
    expect_logits(actual, row(logits, static_cast<int64_t>(step)), tolerance);
  }
}

/// Everything that a fixture has: prompt, decoding, the batch with a left-padded row, and steps that reorder it.
inline void check_session(ModelSession& session, const WeightSource& expected, double tolerance) {
  check_prompt(session, expected, tolerance);
  check_decoding(session, expected, tolerance);
  MaskRows mask = check_batch(session, expected, tolerance);
  check_beams(session, expected, mask, tolerance);
}

}  // namespace nibble::test
