// Streams a sampled story and stops it after 200 characters.
#include <iostream>

#include "nibble/llm_pipeline.hpp"

int main(int argc, char** argv) {
  nibble::LLMPipeline pipeline(argc > 1 ? argv[1] : "models/nib");
  nibble::GenerationConfig config = pipeline.generation_config();
  config.max_new_tokens = 200;
  size_t shown = 0;
  pipeline.generate("Tell me a short story about a fox and a kite.", config, [&](std::string_view text) {
    std::cout << text << std::flush;
    shown += text.size();
    return shown < 200 ? nibble::StreamingStatus::running : nibble::StreamingStatus::stop;
  });
  std::cout << "\n";
}
