#include "tokenizer/decoder.hpp"

#include <limits>
#include <map>

#include "base/fail.hpp"
#include "tokenizer/decoders/makers.hpp"

namespace nibble::tokenizer {
namespace {

// Decoders that multiply each other's output must not fill the memory.
constexpr size_t kMaxGrowth = 64, kGrowthAllowance = 64 << 10;

class DecoderSequence : public Decoder {
 public:
  explicit DecoderSequence(std::vector<DecoderPtr> steps) : steps_(std::move(steps)) {}
  void add_stages(DecodeMode mode, DecodeStages& stages) const override {
    for (const DecoderPtr& step : steps_) step->add_stages(mode, stages);
  }

 private:
  std::vector<DecoderPtr> steps_;
};

class JoinStage : public DecodeStage {
 public:
  void push(Chunk chunk, std::vector<Chunk>& out) override {
    if (!first_) chunk.text.insert(chunk.text.begin(), ' ');
    first_ = false;
    out.push_back(std::move(chunk));
  }

 private:
  bool first_ = true;
};

DecoderPtr make_sequence(const JsonView& view) {
  std::vector<DecoderPtr> steps;
  for (const JsonView& step : view.at("decoders").elements()) steps.push_back(make_decoder(step));
  return make_decoder_sequence(std::move(steps));
}

DecoderPtr make_strip(const JsonView& view) {
  constexpr uint64_t kLimit = std::numeric_limits<uint32_t>::max();
  return make_strip_decoder(view.at("content").character(), view.at("start").integer(kLimit), view.at("stop").integer(kLimit));
}

using Maker = DecoderPtr (*)(const JsonView&);

const std::map<std::string_view, Maker>& makers() {
  static const std::map<std::string_view, Maker> table{
      {"BPEDecoder", make_bpe_decoder},
      {"ByteFallback", [](const JsonView&) { return make_byte_fallback_decoder(); }},
      {"ByteLevel", [](const JsonView&) { return make_byte_level_decoder(); }},
      {"CTC", make_ctc_decoder},
      {"Fuse", [](const JsonView&) { return make_fuse_decoder(); }},
      {"Metaspace", [](const JsonView& view) { return make_metaspace_decoder(read_metaspace(view)); }},
      {"Replace", [](const JsonView& view) { return make_replace_decoder(view); }},
      {"Sequence", make_sequence},
      {"Strip", make_strip},
      {"WordPiece", make_word_piece_decoder},
  };
  return table;
}

}  // namespace

DecoderPtr make_decoder_sequence(std::vector<DecoderPtr> steps) { return std::make_unique<DecoderSequence>(std::move(steps)); }

std::unique_ptr<const Decoder> make_joining_decoder() {
  return std::make_unique<SingleStageDecoder>([](DecodeMode) { return std::make_unique<JoinStage>(); });
}

std::unique_ptr<const Decoder> make_decoder(const JsonView& view) {
  const std::string type = view.at("type").string();
  const auto maker = makers().find(type);
  if (maker == makers().end()) view.refuse("is a decoder of the unknown type \"" + type + "\"");
  return maker->second(view);
}

void DecodeChain::run(size_t stage, std::string& text) {
  for (; stage < stages_.size() && !chunks_.empty(); ++stage) {
    for (Chunk& chunk : chunks_) stages_[stage]->push(std::move(chunk), next_);
    chunks_.swap(next_);
    next_.clear();
    size_t size = 0;
    for (const Chunk& chunk : chunks_) size += chunk.text.size();
    if (size > kMaxGrowth * pushed_ + kGrowthAllowance)
      fail(ErrorKind::exhausted, "decoding makes tokens more than {} times as long", kMaxGrowth);
  }
  for (const Chunk& chunk : chunks_) text.append(chunk.text);
  chunks_.clear();
}

void DecodeChain::push(std::string token, std::string& text) {
  pushed_ += token.size();
  chunks_.push_back({std::move(token)});
  run(0, text);
}

void DecodeChain::pass_hidden(std::string& text) {
  for (size_t stage = 0; stage < stages_.size(); ++stage) {
    stages_[stage]->pass_hidden(chunks_);
    run(stage + 1, text);
  }
}

void DecodeChain::finish(std::string& text) {
  for (size_t stage = 0; stage < stages_.size(); ++stage) {
    stages_[stage]->finish(chunks_);
    run(stage + 1, text);
  }
}

}  // namespace nibble::tokenizer
