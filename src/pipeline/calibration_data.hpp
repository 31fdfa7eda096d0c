#pragma once

#include <filesystem>

#include "export/weight_choice.hpp"

namespace nibble {

/// Makes the data for a compression of the model whose tokenizer is in `directory` (or is `directory`, a GGUF file): samples of the dataset
/// asked for, run by LockstepCalibration. Throws Error{not_found} when there is no such dataset or no tokenizer.
CalibrationFactory calibration_with(std::filesystem::path directory);

}  // namespace nibble
