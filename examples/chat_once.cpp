#include <iostream>

#include "nibble/llm_pipeline.hpp"

int main(int argc, char** argv) {
  nibble::LLMPipeline pipeline(argc > 1 ? argv[1] : "models/nib");
  nibble::GenerationResult result = pipeline.generate("Who are you?");
  std::cout << result.texts[0] << " (on " << result.device << ")\n";
}
