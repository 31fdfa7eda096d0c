#include <gmock/gmock.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/mapped_file.hpp"
#include "checkpoint/samples.hpp"

namespace nibble {

namespace {

using samples::fails;

/// Shape and FNV-1a hash, as tests/checkpoint/make_bins.py writes them.
std::string digest(const Tensor& tensor) {
  uint64_t value = 0xcbf29ce484222325;
  for (std::byte byte : tensor.bytes()) value = (value ^ std::to_integer<uint64_t>(byte)) * 0x100000001b3;
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return to_string(tensor.shape()) + " " + text;
}

class RealCheckpoint : public ::testing::TestWithParam<const char*> {};

TEST_P(RealCheckpoint, HoldsTheTensorsThatPyTorchReads) {
  auto expected = nlohmann::json::parse(read_file(samples::data("digests.json"))).at(GetParam());
  auto weights = open_checkpoint(samples::data(GetParam()));
  std::map<std::string, std::string> found;
  for (const auto& name : weights->names()) found[name] = digest(weights->get(name));
  EXPECT_GT(found.size(), 20u);
  EXPECT_EQ(found, (expected.get<std::map<std::string, std::string>>()));
}

INSTANTIATE_TEST_SUITE_P(All, RealCheckpoint, ::testing::Values("sharded_safetensors", "sharded_pytorch", "pytorch"),
                         [](const auto& test) { return std::string(test.param); });

TEST(ShardedCheckpoint, InfoNamesTheShard) {
  auto weights = open_checkpoint(samples::data("sharded_safetensors"));
  EXPECT_EQ(weights->info("model.embed_tokens.weight").file.filename(), "model-00001-of-00002.safetensors");
  EXPECT_EQ(weights->metadata().at("format"), "pt");
}

class OpenCheckpoint : public ::testing::Test {
 protected:
  /// A safetensors file of one byte tensor of this name and content.
  void shard(std::string_view file, const std::string& tensor, std::string_view content) const {
    directory_.write(file, samples::safetensors("{\"" + tensor + R"(":{"dtype":"U8","shape":[)" + std::to_string(content.size()) +
                                                    R"(],"data_offsets":[0,)" + std::to_string(content.size()) + "]}}",
                                                content));
  }
  void index(std::string_view text) const { directory_.write("model.safetensors.index.json", text); }
  std::unique_ptr<WeightSource> open() const { return open_checkpoint(directory_.path()); }
  ::testing::AssertionResult refuses_index(std::string_view text, std::vector<std::string> parts,
                                           ErrorKind kind = ErrorKind::corrupt) const {
    index(text);
    parts.push_back("model.safetensors.index.json");
    return fails(kind, parts, [&] { open(); });
  }

  samples::Directory directory_;
};

TEST_F(OpenCheckpoint, PrefersOneSafetensorsFileToAllElse) {
  shard("model.safetensors", "one", "1");
  shard("other.safetensors", "other", "2");
  index("not read");
  directory_.write("pytorch_model.bin", "not read");
  EXPECT_EQ(open()->names(), std::vector<std::string>{"one"});
}

TEST_F(OpenCheckpoint, PrefersShardedSafetensorsToPyTorch) {
  shard("a.safetensors", "w", "1");
  index(R"({"weight_map":{"w":"a.safetensors"}})");
  directory_.write("pytorch_model.bin", "not read");
  EXPECT_EQ(open()->names(), std::vector<std::string>{"w"});
}

TEST_F(OpenCheckpoint, TakesASingleSafetensorsFileOfAnotherName) {
  shard("consolidated.safetensors", "w", "1");
  EXPECT_EQ(open()->names(), std::vector<std::string>{"w"});
}

TEST_F(OpenCheckpoint, ListsWhatItLookedFor) {
  EXPECT_TRUE(fails(ErrorKind::not_found,
                    {directory_.path().string(), "model.safetensors,", "model.safetensors.index.json", "pytorch_model.bin,",
                     "pytorch_model.bin.index.json", "single *.safetensors"},
                    [&] { open(); }));
}

TEST_F(OpenCheckpoint, DoesNotGuessAmongSeveralFiles) {
  shard("model-00001-of-00002.safetensors", "v", "1");
  shard("model-00002-of-00002.safetensors", "w", "2");
  EXPECT_TRUE(fails(ErrorKind::not_found, {"2 *.safetensors", "model-00001-of-00002.safetensors", "index"}, [&] { open(); }));
}

TEST_F(OpenCheckpoint, RefusesWhatIsNoDirectory) {
  EXPECT_TRUE(fails(ErrorKind::not_found, {"no-such", "not a directory"}, [&] { open_checkpoint(directory_.path() / "no-such"); }));
}

TEST_F(OpenCheckpoint, ExposesOnlyWhatTheIndexLists) {
  constexpr std::string_view kTwo =
      R"({"v":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"w":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})";
  directory_.write("a.safetensors", samples::safetensors(kTwo, "vw"));
  index(R"({"metadata":{"total_size":2,"deep":[[{"weight_map":[]}]]},"weight_map":{"w":"a.safetensors"},"more":null})");
  auto weights = open();
  EXPECT_EQ(weights->names(), std::vector<std::string>{"w"});
  EXPECT_TRUE(fails(ErrorKind::not_found, {"'v'", "model.safetensors.index.json"}, [&] { weights->get("v"); }));
  EXPECT_EQ(weights->get("w").as<uint8_t>()[0], 'w');
}

TEST_F(OpenCheckpoint, ReportsAMissingShardWithATensorOfIt) {
  EXPECT_TRUE(refuses_index(R"({"weight_map":{"w":"gone.safetensors"}})", {"gone.safetensors", "'w'", "missing"}, ErrorKind::not_found));
}

TEST_F(OpenCheckpoint, ReportsATensorThatItsShardDoesNotHold) {
  shard("a.safetensors", "v", "1");
  EXPECT_TRUE(refuses_index(R"({"weight_map":{"w":"a.safetensors"}})", {"'a.safetensors'", "'w'"}));
}

TEST_F(OpenCheckpoint, RefusesShardsOutsideTheDirectory) {
  for (std::string name : {"../a.safetensors", "/etc/passwd", "sub/a.safetensors", "..", ".", "", "C:a", "a\\\\b", "a\\u0000b"})
    EXPECT_TRUE(refuses_index(R"({"weight_map":{"w":")" + name + "\"}}", {"'w'", "plain names"})) << name;
}

TEST_F(OpenCheckpoint, RefusesIndexesOfAnotherForm) {
  for (std::string_view text : {"", "[]", "{", "{}", "1", R"({"weight_map":[]})", R"({"weight_map":"w"})", R"({"weight_map":{"w":1}})",
                                R"({"weight_map":{"w":{}}})", R"({"weight_map":{"w":null}})", R"({"weight_map":{},"weight_map":{}})"})
    EXPECT_TRUE(refuses_index(text, {})) << text;
  EXPECT_TRUE(refuses_index(R"({"weight_map":{"w":"a","w":"b"}})", {"'w'", "twice"}));
}

TEST_F(OpenCheckpoint, SkipsDeepNestingWithoutRecursion) {
  constexpr int kDepth = 1'000'000;
  index("{\"metadata\":" + std::string(kDepth, '[') + std::string(kDepth, ']') + R"(,"weight_map":{}})");
  EXPECT_TRUE(open()->names().empty());
}

}  // namespace

}  // namespace nibble
