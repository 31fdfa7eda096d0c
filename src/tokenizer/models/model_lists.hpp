#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/json_view.hpp"

namespace nibble::tokenizer {

/// The long lists of a model's JSON object; the texts are the document's.
struct ModelLists {
  std::vector<std::pair<std::string_view, uint32_t>> tokens;          ///< of a "vocab" that is an object
  std::vector<std::pair<std::string_view, double>> scores;            ///< of a "vocab" that is an array
  std::vector<std::pair<std::string_view, std::string_view>> merges;  ///< without a "#version" line

  /// Adders check a value; `list` names its place in messages of Error{corrupt}.
  void add_token(std::string_view token, std::optional<uint64_t> id, const JsonView& list);
  void add_merge(std::string_view left, std::string_view right) { merges.emplace_back(left, right); }
  void add_merge_line(std::string_view line, size_t index, const JsonView& list);
};

/// The lists of `model`, the object that a tokenizer.json has under this name.
ModelLists model_lists(const JsonView& model);

/// For entries that are none.
[[noreturn]] void reject_merge(const JsonView& list, size_t index);
[[noreturn]] void reject_score(const JsonView& list, size_t index);

}  // namespace nibble::tokenizer
