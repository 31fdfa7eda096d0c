#include "base/fail.hpp"
#include "ir/writer.hpp"
#include "nibble/context.hpp"
#include "tokenizer/openvino/tokenizer_graphs.hpp"

namespace nibble {

namespace fs = std::filesystem;

std::vector<std::string> convert_tokenizer(const fs::path& model, const fs::path& output, const TokenizerIrOptions& options,
                                           Context& context) {
  const tokenizer::TokenizerGraphs graphs = tokenizer::build_tokenizer_graphs(tokenizer::read_tokenizer_document(model), options);
  std::error_code error;
  fs::create_directories(output, error);
  if (error) fail(ErrorKind::invalid_argument, "{}: cannot make this directory: {}", output.string(), error.message());
  write_ir(graphs.tokenizer, output / "openvino_tokenizer.xml", context);
  if (graphs.detokenizer) write_ir(*graphs.detokenizer, output / "openvino_detokenizer.xml", context);
  return graphs.notes;
}

}  // namespace nibble
