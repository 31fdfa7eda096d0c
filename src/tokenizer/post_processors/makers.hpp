#pragma once

#include <memory>

#include "tokenizer/post_processor.hpp"

namespace nibble::tokenizer {

using PostProcessorPtr = std::unique_ptr<const PostProcessor>;

/// The post-processors of tokenizer.json, by type.
PostProcessorPtr make_byte_level_processor(const JsonView& view);
PostProcessorPtr make_bert_processor(const JsonView& view);
PostProcessorPtr make_roberta_processor(const JsonView& view);
PostProcessorPtr make_template_processor(const JsonView& view);

/// An id of a post-processor's special token.
int64_t read_token_id(const JsonView& view);

/// Special tokens as a part of their own.
TokenSequence special_tokens(const std::vector<int64_t>& ids, uint32_t type_id, bool with_offsets);

/// Takes leading and trailing white space out of the offsets; a single leading space stays with the first token if `prefixed`.
void trim_offsets(TokenSequence& part, bool prefixed);

}  // namespace nibble::tokenizer
