#include "reference_cases.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "nibble/error.hpp"
#include "nibble/tokenizer.hpp"
#include "tokenizer/pipeline.hpp"

namespace nibble::test {
namespace {

using nlohmann::json;
using Ids = std::vector<int64_t>;
using Offsets = std::vector<std::pair<size_t, size_t>>;

std::vector<json> read_lines(const std::filesystem::path& path) {
  std::vector<json> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(json::parse(line));
  return lines;
}

std::string input_of(const json& line) {
  if (!line.contains("bytes")) return line.at("text");
  const std::string hex = line.at("bytes");
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2) bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return bytes;
}

std::string shown(const json& value) { return value.dump(-1, ' ', true, json::error_handler_t::replace).substr(0, 300); }

void check_stream(const Tokenizer& tokenizer, const json& line, Tally& tally) {
  const Ids ids = line.at("ids");
  StreamingDetokenizer stream(tokenizer);
  std::vector<std::string> parts;
  std::string joined;
  for (int64_t id : ids) {
    parts.push_back(stream.put(id));
    joined += parts.back();
  }
  const std::string rest = stream.flush();
  joined += rest;
  if (!line.contains("stream")) return;
  const bool same = parts == line.at("stream").get<std::vector<std::string>>() && rest == line.value("flush", "");
  tally.check("stream", same, fmt::format("{} gave {} + {}", shown(line), shown(parts), shown(rest)));
  tally.check("stream joined", joined == line.at("decoded"), shown(line) + " gave " + shown(joined));
}

void check_decode(const Tokenizer& tokenizer, const json& line, Tally& tally) {
  const Ids ids = line.at("ids");
  const std::string decoded = tokenizer.decode(ids), special = tokenizer.decode(ids, false);
  tally.check("decoded", decoded == line.at("decoded"), shown(line) + " gave " + shown(decoded));
  tally.check("decoded_special", special == line.at("decoded_special"), shown(line) + " gave " + shown(special));
  check_stream(tokenizer, line, tally);
}

void check_encode(const Tokenizer& tokenizer, const json& line, Tally& tally) {
  const std::string text = input_of(line);
  const Encoding encoding = tokenizer.encode(text, {.offsets = true});
  tally.check("ids", encoding.ids == line.at("ids").get<Ids>(), shown(line) + " gave " + shown(encoding.ids));
  tally.check("ids without offsets", tokenizer.encode(text).ids == encoding.ids, shown(line));
  const Ids plain = tokenizer.encode(text, {.add_special_tokens = false}).ids;
  tally.check("ids_plain", plain == line.at("ids_plain").get<Ids>(), shown(line) + " gave " + shown(plain));
  if (!line.contains("offsets")) return;
  const bool same = encoding.offsets == line.at("offsets").get<Offsets>();
  tally.check("offsets", same, shown(line.at("text")) + shown(line.at("offsets")) + " gave " + shown(encoding.offsets));
}

/// The normalized text, and the pieces with their code points.
void check_parts(const tokenizer::Pipeline& pipeline, const json& line, Tally& tally) {
  const std::string text = line.at("text");
  if (line.contains("normalized")) {
    const std::string normalized = tokenizer::normalize_text(pipeline.normalizer.get(), text);
    tally.check("normalized", normalized == line.at("normalized"), shown(line) + " gave " + shown(normalized));
  }
  if (!line.contains("pre_tokens")) return;
  tokenizer::SplitText work(text, true);
  pipeline.pre_tokenizer->pre_tokenize(work);
  std::vector<std::string> pieces, expected;
  for (const tokenizer::Split& split : work.splits()) {
    if (split.begin < split.end) pieces.emplace_back(work.view(split));
  }
  for (const json& piece : line.at("pre_tokens")) {
    if (piece.at(0) != "") expected.push_back(piece.at(0));
  }
  tally.check("pre_tokens", pieces == expected, shown(line.at("pre_tokens")) + " gave " + shown(pieces));
}

void check_piece_line(const tokenizer::Pipeline& pipeline, const Tokenizer& tokenizer, const json& line, Tally& tally) {
  const bool binding = !line.contains("pair") && !line.contains("batch") && !line.contains("encode_special_tokens");
  if (!binding) return;
  if (line.contains("ids")) {
    const std::string decoded = tokenizer.decode(line.at("ids").get<Ids>());
    const json& expected = line.contains("decoded_ids") ? line.at("decoded_ids") : line.at("decoded");
    return tally.check("decoded", decoded == expected, shown(line) + " gave " + shown(decoded));
  }
  if (!line.contains("text")) return;
  check_parts(pipeline, line, tally);
  const std::string text = line.at("text");
  const EncodeOptions options{line.value("add_special_tokens", true), true};
  if (line.contains("encoding_error")) {
    bool refused = false;
    try {
      tokenizer.encode(text, options);
    } catch (const Error&) {
      refused = true;
    }
    return tally.check("encoding_error", refused, shown(line));
  }
  const Encoding encoding = tokenizer.encode(text, options);
  const json& expected = line.at("encoding");
  tally.check("ids", encoding.ids == expected.at("ids").get<Ids>(), shown(line) + " gave " + shown(encoding.ids));
  tally.check("offsets", encoding.offsets == expected.at("offsets").get<Offsets>(), shown(line) + " gave " + shown(encoding.offsets));
  if (!line.contains("decoded")) return;
  const std::string decoded = tokenizer.decode(encoding.ids);
  tally.check("decoded", decoded == line.at("decoded"), shown(line) + " gave " + shown(decoded));
}

/// pairs.jsonl, where it is there.
void check_pairs(const Tokenizer& tokenizer, const std::filesystem::path& directory, Tally& tally) {
  for (const json& line : read_lines(directory / "pairs.jsonl")) {
    const Encoding encoding = tokenizer.encode_pair(line.at("text").get<std::string>(), line.at("pair").get<std::string>());
    tally.check("pairs", encoding.ids == line.at("ids").get<Ids>(), shown(line) + " gave " + shown(encoding.ids));
    tally.check("type ids", encoding.type_ids == line.at("type_ids").get<std::vector<uint32_t>>(),
                shown(line) + " gave " + shown(encoding.type_ids));
  }
}

EncodeOptions truncation_of(const json& line) {
  const std::map<std::string, TruncationStrategy> strategies{{"longest_first", TruncationStrategy::longest_first},
                                                             {"only_first", TruncationStrategy::only_first},
                                                             {"only_second", TruncationStrategy::only_second}};
  EncodeOptions options{.add_special_tokens = line.at("add_special_tokens")};
  options.truncation =
      Truncation{line.at("max_length"), line.at("side") == "left" ? Side::left : Side::right, strategies.at(line.at("strategy"))};
  return options;
}

/// A line of truncations.jsonl: ids, or an error where a text is too short to be cut.
void check_truncation(const Tokenizer& tokenizer, const json& line, Tally& tally) {
  const std::string text = line.at("text");
  try {
    const EncodeOptions options = truncation_of(line);
    const Encoding encoding =
        line.contains("pair") ? tokenizer.encode_pair(text, line.at("pair").get<std::string>(), options) : tokenizer.encode(text, options);
    const bool same = line.contains("ids") && encoding.ids == line.at("ids").get<Ids>() &&
                      encoding.type_ids == line.at("type_ids").get<std::vector<uint32_t>>();
    tally.check("truncated", same, shown(line) + " gave " + shown(encoding.ids));
  } catch (const Error& error) {
    tally.check("truncated", line.contains("error"), shown(line) + ": " + error.what());
  }
}

}  // namespace

void Tally::check(const std::string& kind, bool passed, const std::string& what) {
  ++(passed ? counts[kind].passed : counts[kind].failed);
  if (!passed && failures.size() < 12) failures.push_back(kind + ": " + what);
}

int Tally::failed() const {
  int sum = 0;
  for (const auto& [kind, count] : counts) sum += count.failed;
  return sum;
}

std::string Tally::summary() const {
  std::string text;
  for (const auto& [kind, count] : counts) text += fmt::format("{} {}/{}  ", kind, count.passed, count.passed + count.failed);
  for (const std::string& failure : failures) text += "\n  " + failure;
  return text;
}

std::filesystem::path reference_directory() { return std::filesystem::path(NIBBLE_SOURCE_DIR) / "tests/data/tokenizer"; }

Tally check_style(const std::filesystem::path& directory) { return check_tokenizer(directory, directory); }

Tally check_tokenizer(const std::filesystem::path& path, const std::filesystem::path& directory) {
  Tally tally;
  const Tokenizer tokenizer(path);
  for (const json& line : read_lines(directory / "cases.jsonl")) {
    check_encode(tokenizer, line, tally);
    check_decode(tokenizer, line, tally);
  }
  for (const json& line : read_lines(directory / "decode.jsonl")) check_decode(tokenizer, line, tally);
  check_pairs(tokenizer, directory, tally);
  for (const json& line : read_lines(directory / "truncations.jsonl")) check_truncation(tokenizer, line, tally);
  return tally;
}

Tally check_piece(const std::filesystem::path& tokenizer_file) {
  Tally tally;
  const json document = json::parse(std::ifstream(tokenizer_file));
  // As in transformers, truncation and padding are the caller's, whatever the file says.
  if (!document.at("truncation").is_null() || !document.at("padding").is_null()) return tally;
  const Tokenizer tokenizer(tokenizer_file);
  const tokenizer::Pipeline pipeline = tokenizer::read_tokenizer_json(tokenizer_file, {});
  std::filesystem::path cases = tokenizer_file;
  for (const json& line : read_lines(cases.replace_extension(".cases.jsonl"))) check_piece_line(pipeline, tokenizer, line, tally);
  return tally;
}

}  // namespace nibble::test
