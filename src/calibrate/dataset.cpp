#include "calibrate/dataset.hpp"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/fail.hpp"
#include "base/json.hpp"
#include "base/mapped_file.hpp"
#include "base/utf8.hpp"

namespace nibble {

namespace fs = std::filesystem;

namespace {

constexpr size_t kBytesPerToken = 24;  // several times what texts have: enough to choose from
constexpr size_t kMinTextBytes = size_t{1} << 20;
constexpr size_t kMaxLineBytes = size_t{16} << 20;  // of JSON
constexpr size_t kMaxSampleTokens = size_t{1} << 20;

void check(const SampleOptions& options) {
  if (options.count == 0) fail(ErrorKind::invalid_argument, "calibration with 0 samples: give 1 or more");
  if (options.length == 0 || options.length > kMaxSampleTokens)
    fail(ErrorKind::invalid_argument, "calibration samples of {} tokens: give 1 to {}", options.length, kMaxSampleTokens);
}

void check_utf8(std::string_view text, const std::string& where) {
  if (is_utf8(text)) return;
  fail(ErrorKind::corrupt, "{}: not UTF-8 at byte {}: convert the file first", where, valid_utf8_size(text));
}

/// The beginning of a text, as much as samples are taken from, up to the end of a line or at least of a character.
std::string_view beginning(std::string_view text, const SampleOptions& options) {
  size_t limit = std::max(kMinTextBytes, options.count * options.length * kBytesPerToken);
  if (text.size() <= limit) return text;
  size_t end = text.rfind('\n', limit);
  if (end == std::string_view::npos || end < limit / 2)
    for (end = limit; end > 0 && is_continuation_byte(text[end]);) --end;
  return text.substr(0, end);
}

std::vector<std::vector<int64_t>> windows(const std::vector<int64_t>& ids, const SampleOptions& options, const std::string& name) {
  if (ids.size() < options.length)
    fail(ErrorKind::invalid_argument, "dataset {}: {} tokens, fewer than the {} of one sample: give more text or shorter samples", name,
         ids.size(), options.length);
  size_t room = ids.size() - options.length, least_step = options.may_overlap ? std::max<size_t>(options.length / 4, 1) : options.length;
  size_t count = std::min(options.count, room / least_step + 1);
  std::vector<std::vector<int64_t>> samples;
  for (size_t i = 0; i < count; ++i) {
    auto begin = ids.begin() + static_cast<std::ptrdiff_t>(count == 1 ? 0 : room * i / (count - 1));
    samples.emplace_back(begin, begin + static_cast<std::ptrdiff_t>(options.length));
  }
  return samples;
}

std::vector<std::vector<int64_t>> text_samples(std::string_view text, const SampleOptions& options, TextEncoder& encoder,
                                               const std::string& name) {
  text = beginning(text, options);
  check_utf8(text, "dataset " + name);
  return windows(encoder.encode(text), options, name);
}

std::vector<int64_t> ids_of(const nlohmann::json& list, const std::string& where) {
  if (!list.is_array()) fail(ErrorKind::corrupt, "{}: \"ids\" is not a list of token ids", where);
  std::vector<int64_t> ids;
  for (const auto& id : list) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0)
      fail(ErrorKind::corrupt, "{}: {} in \"ids\" is no token id", where, id.dump().substr(0, 40));
    ids.push_back(id.get<int64_t>());
  }
  return ids;
}

std::vector<int64_t> sample_of(const nlohmann::json& line, TextEncoder& encoder, const std::string& where) {
  if (line.is_object()) {
    if (line.contains("ids")) return ids_of(line["ids"], where);
    if (line.contains("messages")) return encoder.encode_chat(line["messages"].dump());
    if (line.contains("text") && line["text"].is_string()) return encoder.encode(line["text"].get_ref<const std::string&>());
  }
  fail(ErrorKind::corrupt, R"({}: neither {{"text": ...}} nor {{"messages": [...]}} nor {{"ids": [...]}})", where);
}

bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\r") == std::string_view::npos; }

std::vector<std::vector<int64_t>> line_samples(std::string_view text, const SampleOptions& options, TextEncoder& encoder,
                                               const std::string& name) {
  std::vector<std::vector<int64_t>> samples;
  for (size_t at = 0, number = 1; at < text.size() && samples.size() < options.count; ++number) {
    size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    at = end + 1;
    if (is_blank(line)) continue;
    std::string where = fmt::format("dataset {}, line {}", name, number);
    if (line.size() > kMaxLineBytes)
      fail(ErrorKind::corrupt, "{}: {} bytes, more than the {} that a line may have", where, line.size(), kMaxLineBytes);
    check_utf8(line, where);
    samples.push_back(sample_of(parse_json(line, where), encoder, where));
    if (samples.back().empty()) fail(ErrorKind::corrupt, "{}: no tokens", where);
    if (samples.back().size() > options.length) samples.back().resize(options.length);
  }
  if (samples.empty()) fail(ErrorKind::invalid_argument, "dataset {}: no samples in it", name);
  return samples;
}

}  // namespace

const Tokenizer& TextEncoder::tokenizer() {
  if (!tokenizer_) tokenizer_ = std::make_unique<Tokenizer>(directory_);
  return *tokenizer_;
}

std::vector<int64_t> TextEncoder::encode(std::string_view text) { return tokenizer().encode(text).ids; }

std::vector<int64_t> TextEncoder::encode_chat(std::string_view messages) {
  if (!template_) {
    auto loaded = load_chat_template(directory_);
    if (!loaded) fail(ErrorKind::not_found, "{}: no chat template for the dataset's messages: give texts", directory_.string());
    template_ = std::make_unique<ChatTemplate>(std::move(*loaded));
  }
  nlohmann::json variables{{"bos_token", tokenizer().bos_token()}, {"eos_token", tokenizer().eos_token()}};
  std::string text = template_->render(ChatHistory::from_json(messages), variables.dump());
  return tokenizer().encode(text, {.add_special_tokens = false}).ids;
}

std::vector<std::vector<int64_t>> load_samples(const DatasetFile& dataset, const SampleOptions& options, TextEncoder& encoder) {
  check(options);
  if (!dataset.path) return text_samples(builtin_calibration_text(), options, encoder, dataset.name);
  auto file = MappedFile::open(*dataset.path);
  std::string_view text(reinterpret_cast<const char*>(file->bytes().data()), file->size());
  fs::path extension = dataset.path->extension();
  bool has_lines = extension == ".jsonl" || extension == ".json";
  return has_lines ? line_samples(text, options, encoder, dataset.name) : text_samples(text, options, encoder, dataset.name);
}

}  // namespace nibble
