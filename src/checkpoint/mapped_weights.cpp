#include "checkpoint/mapped_weights.hpp"

#include "base/fail.hpp"
#include "checkpoint/byte_reader.hpp"
#include "checkpoint/shown.hpp"
#include "checkpoint/strided_copy.hpp"

namespace nibble {

MappedWeights::MappedWeights(std::shared_ptr<const MappedFile> file, MappedWeightMap weights, std::map<std::string, std::string> metadata)
    : file_(std::move(file)), weights_(std::move(weights)), metadata_(std::move(metadata)) {}

std::vector<std::string> MappedWeights::names() const {
  std::vector<std::string> out;
  out.reserve(weights_.size());
  for (const auto& [name, weight] : weights_) out.push_back(name);
  return out;
}

const MappedWeight& MappedWeights::find(std::string_view name) const {
  auto found = weights_.find(name);
  if (found == weights_.end())
    fail(ErrorKind::not_found, "{}: there is no tensor {} among its {}", file_->path().string(), shown(name), weights_.size());
  return found->second;
}

WeightInfo MappedWeights::info(std::string_view name) const {
  const auto& weight = find(name);
  return {weight.type, weight.shape, file_->path()};
}

Tensor MappedWeights::get(std::string_view name) const {
  const auto& weight = find(name);
  if (weight.strides.empty()) return Tensor::view(weight.type, weight.shape, weight.bytes, file_);
  return copy_strided(weight.type, weight.shape, weight.strides, weight.bytes);
}

void MappedWeights::release(std::string_view name, PageCache cache) const {
  if (auto found = weights_.find(name); found != weights_.end()) file_->release(found->second.bytes, cache);
}

std::shared_ptr<const MappedFile> map_weights(const std::filesystem::path& path) {
  auto file = MappedFile::open(path);
  if (as_text(file->bytes()).starts_with("version https://git-lfs"))
    fail(ErrorKind::corrupt, "{}: this is a Git LFS pointer, not the file itself: run `git lfs pull` in its directory", path.string());
  return file;
}

}  // namespace nibble
