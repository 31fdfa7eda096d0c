#pragma once

#include <optional>
#include <string>
#include <vector>

#include "graph/graph.hpp"
#include "nibble/tokenizer.hpp"
#include "tokenizer/openvino/tokenizer_document.hpp"

namespace nibble::tokenizer {

/// A tokenizer IR: texts (string, [batch]) to input_ids, token_type_ids where the model knows them, and attention_mask ([batch, length]);
/// and ids to texts. The graphs have the names, the states and the rt_info that OpenVINO GenAI looks for.
struct TokenizerGraphs {
  Graph tokenizer;
  std::optional<Graph> detokenizer;
  std::vector<std::string> notes;  ///< what they do differently
};

/// Throws Error{unsupported} for a tokenizer with a part that no operation of OpenVINO's tokenizers extension can do, naming it.
TokenizerGraphs build_tokenizer_graphs(const TokenizerDocument& document, const TokenizerIrOptions& options);

}  // namespace nibble::tokenizer
