#pragma once

#include <optional>
#include <vector>

#include "tokenizer/openvino/steps.hpp"

namespace nibble::tokenizer {

/// A place in a template: a text (-1 the first, -2 the second, as OpenVINO's rt_info counts them) or one special token.
struct Segment {
  int64_t id = 0;
  int32_t type_id = 0;
  bool is_text() const { return id < 0; }
};

/// What the post-processor puts around one text, and around two where it says so.
struct Segments {
  std::vector<Segment> single, pair;
};

/// Throws Error{unsupported} for a Sequence of several templates.
Segments read_segments(const JsonView& document);

}  // namespace nibble::tokenizer
