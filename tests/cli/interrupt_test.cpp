#include <gmock/gmock.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "command.hpp"

namespace nibble {

using test::Command;
using test::listing;
using test::nib;
using test::Outcome;
using testing::HasSubstr;
using testing::IsEmpty;

namespace {

using nlohmann::json;

constexpr int kInterrupted = 130;

/// A checkpoint of a Llama whose weights are gigabytes of zeros that take no space on disk: exporting it takes its time.
class LargeCheckpoint {
 public:
  LargeCheckpoint() {
    json config{{"model_type", "llama"},       {"vocab_size", kVocab},           {"hidden_size", kHidden},
                {"intermediate_size", kInner}, {"num_hidden_layers", kLayers},   {"num_attention_heads", 32},
                {"num_key_value_heads", 32},   {"max_position_embeddings", 128}, {"tie_word_embeddings", true}};
    test::write_text(directory_ / "config.json", config.dump());
    add("model.embed_tokens.weight", {kVocab, kHidden});
    add("model.norm.weight", {kHidden});
    for (int i = 0; i < kLayers; ++i) {
      std::string layer = "model.layers." + std::to_string(i) + ".";
      for (const char* norm : {"input_layernorm", "post_attention_layernorm"}) add(layer + norm + ".weight", {kHidden});
      for (const char* name : {"q", "k", "v", "o"}) add(layer + "self_attn." + name + "_proj.weight", {kHidden, kHidden});
      for (const char* name : {"gate", "up"}) add(layer + "mlp." + name + "_proj.weight", {kInner, kHidden});
      add(layer + "mlp.down_proj.weight", {kHidden, kInner});
    }
    std::string header = header_.dump();
    uint64_t size = header.size();
    std::ofstream(file(), std::ios::binary).write(reinterpret_cast<const char*>(&size), sizeof size) << header;
    std::filesystem::resize_file(file(), sizeof size + header.size() + end_);
  }
  std::string path() const { return directory_.path(); }

 private:
  static constexpr int64_t kVocab = 64, kHidden = 4096, kInner = 16384;
  static constexpr int kLayers = 8;

  std::filesystem::path file() const { return directory_ / "model.safetensors"; }
  void add(const std::string& name, const std::vector<int64_t>& shape) {
    uint64_t begin = end_, bytes = 2;
    for (int64_t dim : shape) bytes *= static_cast<uint64_t>(dim);
    end_ += bytes;
    header_[name] = {{"dtype", "F16"}, {"shape", shape}, {"data_offsets", {begin, end_}}};
  }

  test::ScratchDirectory directory_;
  json header_;
  uint64_t end_ = 0;
};

}  // namespace

TEST(Interrupt, AnExportLeavesNothingBehind) {
  LargeCheckpoint model;
  test::ScratchDirectory scratch;
  Command command({"export", model.path(), scratch / "out", "--weight-format", "int4", "--json"});
  command.wait_until([&] { return !std::filesystem::is_empty(scratch.path()); });
  command.interrupt();
  Outcome run = command.finish();
  EXPECT_EQ(run.code, kInterrupted) << run.err;
  EXPECT_THAT(run.err, HasSubstr("cancelled"));
  EXPECT_THAT(run.out, IsEmpty());
  EXPECT_THAT(listing(scratch.path()), IsEmpty());
}

TEST(Interrupt, AStreamedAnswerEnds) {
  Command command({"generate", nib(), "-p", "Tell me a story.", "--ignore-eos", "--max-new-tokens", "100000"});
  command.wait_until([&] { return !command.output().empty(); });
  command.interrupt();
  Outcome run = command.finish();
  EXPECT_EQ(run.code, kInterrupted) << run.err;
  EXPECT_THAT(run.out, testing::EndsWith("\n"));
}

TEST(Interrupt, AnAnswerThatIsNotStreamedEnds) {
  for (const char* form : {"--json", "--jsonl"}) {
    Command command({"generate", nib(), "--ignore-eos", "--max-new-tokens", "100000", form});
    command.write("{\"prompt\": \"Tell me a story.\"}\n");
    command.close_input();
    command.wait_until([&] { return command.handles_interrupts(); });
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // most likely it is at work then
    command.interrupt();
    Outcome run = command.finish();
    EXPECT_EQ(run.code, kInterrupted) << form << run.err;
    EXPECT_THAT(run.out, IsEmpty());
  }
}

TEST(Interrupt, WaitingForInputEnds) {
  for (const char* name : {"generate", "tokenize"}) {
    Command command({name, nib()});
    command.wait_until([&] { return command.handles_interrupts(); });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    command.interrupt();
    EXPECT_EQ(command.finish().code, kInterrupted) << name;
  }
}

TEST(Interrupt, AnEvaluationEnds) {
  Command command({"eval", nib(), "--text", nib() + "/eval/validation.txt", "--window", "16", "--json", "--progress"});
  command.wait_until([&] { return !command.errors().empty(); });
  command.interrupt();
  Outcome run = command.finish();
  EXPECT_EQ(run.code, kInterrupted) << run.err;
  EXPECT_THAT(run.err, HasSubstr("cancelled"));
  EXPECT_THAT(run.out, IsEmpty());
}

}  // namespace nibble
