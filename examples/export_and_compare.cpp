// Exports a checkpoint to 4 bits and compares its logits with the original's.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>

#include "nibble/evaluate.hpp"
#include "nibble/export.hpp"

int main(int argc, char** argv) {
  std::filesystem::path model = argc > 1 ? argv[1] : "models/nib";
  std::filesystem::path output = std::filesystem::temp_directory_path() / "nibble-example-int4";
  std::filesystem::remove_all(output);

  nibble::Context context;
  nibble::ExportOptions options;
  options.weight_format = "int4";
  nibble::ExportReport report = nibble::export_model(model, output, options, context);

  std::vector<std::vector<int64_t>> rows{{1, 3, 297, 203, 776, 5, 4}};
  nibble::Tensor original = nibble::LanguageModel(model).logits(rows), compressed = nibble::LanguageModel(output).logits(rows);
  float largest = 0;
  for (size_t i = 0; i < original.size(); ++i) largest = std::max(largest, std::abs(original.as<float>()[i] - compressed.as<float>()[i]));
  std::cout << report.format << ": " << report.bits_per_weight << " bits per weight, largest difference " << largest << "\n";
  std::filesystem::remove_all(output);
}
