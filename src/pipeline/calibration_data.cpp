#include "pipeline/calibration_data.hpp"

#include "base/fail.hpp"
#include "calibrate/dataset.hpp"
#include "calibrate/lockstep_calibration.hpp"

namespace nibble {

namespace {

DatasetFile find_requested(const CalibrationRequest& request, const Context& context) {
  try {
    return find_dataset(request.dataset);
  } catch (const Error& error) {
    if (!request.or_builtin || error.kind() != ErrorKind::not_found) throw;
    context.log(LogLevel::warning, fmt::format("dataset \"{}\" is not on this machine: taking the built-in text instead", request.dataset));
    return find_dataset("auto");
  }
}

}  // namespace

std::vector<std::vector<int64_t>> calibration_samples(const CalibrationRequest& request, const std::filesystem::path& directory,
                                                      const Context& context, bool may_overlap) {
  TextEncoder encoder(directory);
  DatasetFile dataset = find_requested(request, context);
  SampleOptions options{request.num_samples.value_or(SampleOptions{}.count),
                        request.length.value_or(default_sample_length(request.dataset)), may_overlap};
  auto samples = load_samples(dataset, options, encoder);
  size_t tokens = 0;
  for (const auto& sample : samples) tokens += sample.size();
  context.log(LogLevel::info, fmt::format("calibration: {} samples, {} tokens of {}", samples.size(), tokens, dataset.name));
  if (request.num_samples && samples.size() < *request.num_samples)
    context.log(LogLevel::warning,
                fmt::format("dataset {}: {} samples, fewer than the {} asked for", dataset.name, samples.size(), *request.num_samples));
  return samples;
}

CalibrationFactory calibration_with(std::filesystem::path directory) {
  return [directory = std::move(directory)](const CalibrationRequest& request, Context& context, Progress* progress) {
    LockstepOptions options;
    if (request.in_f32) options.precision = ProductPrecision::f32;
    return std::make_unique<LockstepCalibration>(calibration_samples(request, directory, context), context, progress, options);
  };
}

}  // namespace nibble
