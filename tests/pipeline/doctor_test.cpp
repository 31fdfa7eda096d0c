#include <gmock/gmock.h>

#include <algorithm>

#include "models.hpp"
#include "nibble/export.hpp"
#include "nibble/inspect.hpp"
#include "scratch_directory.hpp"

namespace nibble {
namespace {

using testing::HasSubstr;
using Severity = Finding::Severity;

/// A model of a billion parameters whose layers are stored so.
ModelInfo model(std::vector<WeightFormatInfo> layers) {
  ModelInfo info;
  info.format = "OpenVINO IR";
  info.parameters = 1'500'000'000;
  info.weight_bytes = 800'000'000;
  info.cache_elements_per_token = 10'000;
  info.operations["ReadValue"] = 2;
  info.formats = std::move(layers);
  return info;
}

WeightFormatInfo int4(int64_t group_size, bool has_zero_points = false) {
  return {"mlp", has_zero_points ? "u4" : "i4", true, has_zero_points, false, group_size, 1, 1};
}
WeightFormatInfo int8() { return {"attention", "u8", true, true, false, -1, 1, 1}; }

DeviceDiagnosis on(const std::string& device, const ModelInfo& info, uint64_t memory = 16'000'000'000) {
  auto devices = diagnose_model(info, 4096, memory).devices;
  return *std::find_if(devices.begin(), devices.end(), [&](const auto& d) { return d.device == device; });
}

bool warns(const DeviceDiagnosis& diagnosis, const std::string& of) {
  return std::any_of(diagnosis.findings.begin(), diagnosis.findings.end(), [&](const Finding& f) {
    return f.severity != Severity::note && f.text.find(of) != std::string::npos && !f.remedy.empty();
  });
}

TEST(Doctor, TheNpuLikesSymmetricGroupsOf128AndWholeChannels) {
  EXPECT_EQ(on("NPU", model({int4(128)})).worst(), Severity::note);
  EXPECT_EQ(on("NPU", model({int4(-1)})).worst(), Severity::note);
}

TEST(Doctor, WarnsOfAsymmetricWeightsOnTheNpu) { EXPECT_TRUE(warns(on("NPU", model({int4(128, true)})), "asymmetric")); }
TEST(Doctor, WarnsOfMixedPrecisionOnTheNpu) { EXPECT_TRUE(warns(on("NPU", model({int4(128), int8()})), "ratio below 1")); }
TEST(Doctor, WarnsOfOtherGroupsOnTheNpu) { EXPECT_TRUE(warns(on("NPU", model({int4(64)})), "groups of 128")); }

TEST(Doctor, WarnsOfGroupsInLargeModelsOnTheNpu) {
  ModelInfo large = model({int4(128)});
  large.parameters = 7'000'000'000;
  EXPECT_TRUE(warns(on("NPU", large), "one scale per channel"));
}

TEST(Doctor, ExpertsDoNotRunOnTheNpu) {
  ModelInfo experts = model({int4(128)});
  experts.operations["TopK"] = 4;
  EXPECT_EQ(on("NPU", experts).worst(), Severity::obstacle);
}

TEST(Doctor, EmbeddingsInEightBitsAreFineOnTheNpu) {
  WeightFormatInfo embedding = int8();
  embedding.kind = "embedding";
  EXPECT_EQ(on("NPU", model({int4(128), embedding})).worst(), Severity::note);
}

TEST(Doctor, AModelWithoutStateRunsNowhere) {
  ModelInfo stateless = model({int4(128)});
  stateless.operations.clear();
  for (const char* device : {"CPU", "NPU", "GPU"}) EXPECT_EQ(on(device, stateless).worst(), Severity::obstacle) << device;
}

TEST(Doctor, SaysWhenMemoryIsTooSmall) {
  EXPECT_EQ(on("CPU", model({int4(128)})).worst(), Severity::note);
  EXPECT_TRUE(warns(on("CPU", model({int4(128)}), 500'000'000), "do not fit"));
}

TEST(Doctor, WarnsOfGroupsThatTheCpuComputesInFloats) { EXPECT_TRUE(warns(on("CPU", model({int4(24)})), "no multiple of 32")); }

TEST(Doctor, ReadsTheFormatsOfAnExport) {
  test::ScratchDirectory scratch;
  Context context({.threads = 2, .log = {}});
  ExportOptions options;
  options.weight_format = "int4";
  options.group_size = 64;
  export_model(test::nib(), scratch / "model", options, context);
  ModelInfo info = inspect_model(scratch / "model");
  auto mlp = std::find_if(info.formats.begin(), info.formats.end(), [](const auto& f) { return f.kind == "mlp"; });
  ASSERT_NE(mlp, info.formats.end());
  EXPECT_EQ(mlp->codes, "u4");
  EXPECT_TRUE(mlp->is_compressed && mlp->has_zero_points);
  EXPECT_EQ(mlp->group_size, 64);
  EXPECT_EQ(mlp->count, 12u);
  auto embedding = std::find_if(info.formats.begin(), info.formats.end(), [](const auto& f) { return f.codes == "u8"; });
  ASSERT_NE(embedding, info.formats.end());
  EXPECT_EQ(embedding->group_size, -1);
  EXPECT_TRUE(warns(on("NPU", info), "asymmetric"));
}

TEST(Doctor, NamesEveryDevice) {
  auto devices = find_devices();
  ASSERT_EQ(devices.size(), 3u);
  EXPECT_TRUE(devices[0].usable);
  for (const auto& device : devices) EXPECT_FALSE(device.state.empty());
}

}  // namespace
}  // namespace nibble
