#include "pipeline/tokenizer_writer.hpp"

#include <fmt/format.h>

#include "nibble/error.hpp"
#include "nibble/tokenizer.hpp"

namespace nibble {

namespace {

/// Whether an error is about the tokenizer, and none of the machine or the user's.
bool is_of_tokenizer(const Error& error) {
  return error.kind() == ErrorKind::unsupported || error.kind() == ErrorKind::not_found || error.kind() == ErrorKind::corrupt;
}

/// Without the directory, which is there under this name only until it is complete.
std::string without_path(std::string message, const std::filesystem::path& directory) {
  const std::string path = directory.string() + "/";
  if (const size_t at = message.find(path); at != std::string::npos) message.erase(at, path.size());
  return message;
}

std::vector<std::string> write_tokenizer(const std::filesystem::path& directory, Context& context) {
  TokenizerIrOptions options;
  options.left_padding = true;
  try {
    std::vector<std::string> notes = convert_tokenizer(directory, directory, options, context);
    for (std::string& note : notes) note = "openvino_tokenizer.xml: " + note;
    return notes;
  } catch (const Error& error) {
    if (!is_of_tokenizer(error)) throw;
    std::string note = fmt::format("no openvino_tokenizer.xml, which OpenVINO GenAI needs: {}", without_path(error.what(), directory));
    context.log(LogLevel::warning, note);
    return {note};
  }
}

}  // namespace

FurtherFiles tokenizer_writer(const ExportOptions& options, Context& context) {
  if (!options.convert_tokenizer) return {};
  return [&context](const std::filesystem::path& directory) { return write_tokenizer(directory, context); };
}

}  // namespace nibble
