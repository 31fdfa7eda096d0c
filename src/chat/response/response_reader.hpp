#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "chat/response/delta_writer.hpp"
#include "chat/response/formats.hpp"

namespace nibble {

/// Takes a text apart, byte by byte: what it writes depends on the bytes alone, not on how they were cut into pieces.
class ResponseReader {
 public:
  virtual ~ResponseReader() = default;
  virtual void push(char c) = 0;
  /// The text is over; what was held back is written.
  virtual void finish() = 0;
  /// The text goes on from a prompt with this end. To be called before the first push().
  virtual void continue_prompt(std::string_view prompt) = 0;
};

/// Reasoning and sections of calls between markers. The formats, schemas and tokens have to outlive the reader.
std::unique_ptr<ResponseReader> make_message_reader(const ToolFormat& tools, const ReasoningFormat& reasoning, const ToolSchemas& schemas,
                                                    const std::vector<std::string>& ignored_tokens, DeltaWriter& writer);
/// The channels of OpenAI's harmony format. Without `with_calls`, what is addressed to a tool is content.
std::unique_ptr<ResponseReader> make_harmony_reader(bool with_calls, const std::vector<std::string>& ignored_tokens, DeltaWriter& writer);

}  // namespace nibble
