#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/vocabularies/plain_files.hpp"

namespace nibble::tokenizer {

/// Parts of a tokenizer.json.
nlohmann::json byte_level_part(bool add_prefix_space, bool trim_offsets, bool use_regex);
nlohmann::json split_part(std::string_view pattern, std::string_view behavior, bool invert);
nlohmann::json sequence_part(std::string_view list, std::vector<nlohmann::json> parts);

/// A place of a TemplateProcessing: "$A", "$B" or the spelling of a token, and its type id.
struct TemplatePlace {
  std::string text;
  int type_id = 0;
};
/// Tokens that `vocabulary` lacks are left out of the templates.
nlohmann::json template_part(const std::vector<TemplatePlace>& single, const std::vector<TemplatePlace>& pair,
                             const nlohmann::json& vocabulary);

/// Makes `texts` special tokens of a document, with the ids that its vocabulary or added_tokens.json gives them; what neither knows gets
/// the next free ids, as in transformers, where `appends`. Also adds the other tokens of added_tokens.json.
void add_tokens(nlohmann::json& document, const std::vector<std::string>& texts, const PlainFiles& files, bool appends);

/// The lines of a text file without their ends, the last only where it is not empty. Throws Error{corrupt} where it is not UTF-8 or beyond
/// a limit.
std::vector<std::string> read_lines(const std::filesystem::path& path);

}  // namespace nibble::tokenizer
