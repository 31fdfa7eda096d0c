#pragma once

#include <memory>
#include <mutex>
#include <set>

#include "checkpoint/weight_source.hpp"

namespace nibble {

/// The tensors of a GGUF file as the decoder takes them, which remembers what was asked for: a tensor that nobody wanted would change the
/// results. Gates and ups of experts with biases also come as one "ffn_gate_up_interleaved_exps", row by row. Thread-safe.
class GgufTensors final : public WeightSource {
 public:
  explicit GgufTensors(std::shared_ptr<const WeightSource> file) : file_(std::move(file)) {}

  std::vector<std::string> names() const override { return file_->names(); }
  bool contains(std::string_view name) const override;
  WeightInfo info(std::string_view name) const override;
  Tensor get(std::string_view name) const override;
  std::shared_ptr<const EncodedMatrix> encoded(std::string_view name) const override;
  void release(std::string_view name, PageCache cache) const override;
  const std::map<std::string, std::string>& metadata() const override { return file_->metadata(); }

  /// Throws Error{unsupported} naming a tensor that was not read.
  void refuse_unused() const;

 private:
  void use(std::string_view name) const;

  std::shared_ptr<const WeightSource> file_;
  mutable std::mutex mutex_;
  mutable std::set<std::string, std::less<>> used_;
};

}  // namespace nibble
