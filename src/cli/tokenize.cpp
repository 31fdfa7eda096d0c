#include <fmt/format.h>

#include "cli/command.hpp"
#include "nibble/tokenizer.hpp"

namespace nibble::cli {

namespace {

struct Options {
  std::string model, ids;
  std::optional<std::string> text;
  bool no_special_tokens = false, offsets = false, as_json = false, jsonl = false;
};

void report(const std::string& error) { print(dump_line({{"error", error}}) + "\n"); }

json encoded(const Tokenizer& tokenizer, const std::string& text, bool add_special_tokens, bool offsets) {
  Encoding encoding = tokenizer.encode(text, {.add_special_tokens = add_special_tokens, .offsets = offsets});
  json document{{"ids", encoding.ids}};
  if (offsets) document["offsets"] = encoding.offsets;
  return document;
}

json encoded_line(const Tokenizer& tokenizer, const json& line, bool add_special_tokens) {
  EncodeOptions options{.add_special_tokens = line.value("add_special_tokens", add_special_tokens), .offsets = true};
  if (line.contains("max_length")) options.truncation = Truncation{.max_length = line.at("max_length").get<size_t>()};
  auto text = line.at("text").get<std::string>();
  bool is_pair = line.contains("pair");
  Encoding encoding = is_pair ? tokenizer.encode_pair(text, line.at("pair").get<std::string>(), options) : tokenizer.encode(text, options);
  json document{{"ids", encoding.ids}, {"offsets", encoding.offsets}};
  if (is_pair) document["type_ids"] = encoding.type_ids;
  return document;
}

void tokenize(const Options& o) {
  Tokenizer tokenizer(o.model);
  if (o.jsonl) {
    auto answer = [&](const json& line) { print(dump_line(encoded_line(tokenizer, line, !o.no_special_tokens)) + "\n"); };
    return for_each_json_line(answer, report);
  }
  json document = encoded(tokenizer, o.text ? *o.text : read_stdin(), !o.no_special_tokens, o.offsets);
  if (o.as_json) return print_json(document);
  print(fmt::format("{}\n", fmt::join(document["ids"].get<std::vector<int64_t>>(), ",")));
  if (!o.offsets) return;
  for (const auto& [begin, end] : document["offsets"].get<std::vector<std::pair<size_t, size_t>>>())
    print(fmt::format("{}-{}\n", begin, end));
}

json stream_pieces(const Tokenizer& tokenizer, const std::vector<int64_t>& ids, bool skip_special) {
  StreamingDetokenizer detokenizer(tokenizer, skip_special);
  json pieces = json::array();
  for (int64_t id : ids) pieces.push_back(detokenizer.put(id));
  std::string rest = detokenizer.flush();
  if (!rest.empty()) pieces.push_back(rest);
  return pieces;
}

json decoded(const Tokenizer& tokenizer, const json& line, bool skip_default) {
  auto ids = line.at("ids").get<std::vector<int64_t>>();
  bool skip = line.value("skip_special_tokens", skip_default);
  json document{{"text", tokenizer.decode(ids, skip)}};
  if (line.value("stream", false)) document["pieces"] = stream_pieces(tokenizer, ids, skip);
  return document;
}

void detokenize(const Options& o) {
  Tokenizer tokenizer(o.model);
  if (o.jsonl) return for_each_json_line([&](const json& line) { print(dump_line(decoded(tokenizer, line, true)) + "\n"); }, report);
  std::string text = tokenizer.decode(parse_ids(o.ids.empty() ? read_stdin() : o.ids), o.no_special_tokens);
  if (o.as_json) return print_json({{"text", text}});
  print(text + "\n");
}

}  // namespace

void add_tokenize(CLI::App& app) {
  auto o = std::make_shared<Options>();
  auto* encode = app.add_subcommand("tokenize", "Turn text into token ids");
  encode->add_option("model", o->model, "directory with tokenizer.json or tokenizer.model, or GGUF file")->required();
  encode->add_option("--text", o->text, "the text (default: standard input)");
  encode->add_flag("--no-special-tokens", o->no_special_tokens, "add no beginning- or end-of-text tokens");
  encode->add_flag("--offsets", o->offsets, "print where each token stands in the text, in code points");
  encode->add_flag("--json", o->as_json, "print the result as JSON");
  encode->add_flag("--jsonl", o->jsonl, "read {\"text\": ..., \"pair\": ..., \"max_length\": ...} from each line of standard input");
  encode->footer(
      "\nExamples:\n  nibble tokenize ./model --text \"Hello world\"\n  echo '{\"text\": \"Hi\", \"add_special_tokens\": false}' | nibble "
      "tokenize ./model --jsonl");
  encode->callback([o] { tokenize(*o); });

  auto* decode = app.add_subcommand("detokenize", "Turn token ids into text");
  decode->add_option("model", o->model, "directory with tokenizer.json or tokenizer.model, or GGUF file")->required();
  decode->add_option("--ids", o->ids, "token ids 1,2,3 (default: standard input)");
  decode->add_flag("--no-special-tokens", o->no_special_tokens, "leave special tokens out of the text");
  decode->add_flag("--json", o->as_json, "print the result as JSON");
  decode->add_flag("--jsonl", o->jsonl, "read {\"ids\": [...], \"stream\": false} from each line of standard input");
  decode->footer(
      "\nExamples:\n  nibble detokenize ./model --ids 1,15043\n  echo '{\"ids\": [1, 2], \"stream\": true}' | nibble detokenize ./model "
      "--jsonl");
  decode->callback([o] { detokenize(*o); });
}

}  // namespace nibble::cli
