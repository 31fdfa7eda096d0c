#pragma once

#include <filesystem>
#include <vector>

#include "export/weight_choice.hpp"

namespace nibble {

/// Samples of the dataset asked for. `may_overlap`: see SampleOptions.
std::vector<std::vector<int64_t>> calibration_samples(const CalibrationRequest& request, const std::filesystem::path& directory,
                                                      const Context& context, bool may_overlap = true);

/// Makes the data for a compression of the model whose tokenizer is in `directory` (or is `directory`, a GGUF file): samples of the dataset
/// asked for, run by LockstepCalibration. Throws Error{not_found} when there is no such dataset or no tokenizer.
CalibrationFactory calibration_with(std::filesystem::path directory);

}  // namespace nibble
