#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/gguf/gguf_model.hpp"

namespace nibble {

/// The metadata of a model under its architecture's prefix ("llama.block_count" is "block_count"). Remembers what was asked for, so that
/// what nobody understood can be refused. For one thread; borrows the model.
class GgufHyperparameters {
 public:
  explicit GgufHyperparameters(const GgufModel& model);

  const std::string& architecture() const { return architecture_; }
  const std::string& where() const { return model_.metadata().where(); }

  /// A whole number of 0 to 2^31. One that is given for each layer has to be the same for all.
  std::optional<int64_t> optional_size(std::string_view key);
  int64_t size(std::string_view key);
  int64_t size(std::string_view key, int64_t fallback) { return optional_size(key).value_or(fallback); }
  std::optional<double> number(std::string_view key);
  double number(std::string_view key, double fallback) { return number(key).value_or(fallback); }
  bool flag(std::string_view key, bool fallback);
  std::string text(std::string_view key, std::string_view fallback);
  /// Per layer; empty where the key is not there or is no list.
  std::vector<bool> flags(std::string_view key);
  /// The key does not matter for this architecture.
  void ignore(std::string_view key) { used_.emplace(key); }

  bool has_tensor(std::string_view name) const { return model_.find(name) != nullptr; }
  /// Of a dimension counted from the last; throws Error{corrupt} where the tensor is not there.
  int64_t tensor_size(std::string_view name, size_t from_last) const;
  /// The numbers of a small f32 tensor; empty where it is not there.
  std::vector<float> tensor_numbers(std::string_view name) const;

  /// Throws Error{unsupported} naming a key that was not asked for and says more than "none".
  void refuse_unused() const;
  [[noreturn]] void refuse(std::string_view what) const;

 private:
  std::string full(std::string_view key) const { return architecture_ + "." + std::string(key); }
  std::string used(std::string_view key);

  const GgufModel& model_;
  std::string architecture_;
  std::set<std::string, std::less<>> used_;
};

}  // namespace nibble
