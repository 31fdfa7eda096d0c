#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.hpp"
#include "checkpoint/gguf/gguf_value.hpp"

namespace nibble {

/// The metadata of a GGUF file by key, with checked access: a value of another type than asked for is an Error{corrupt} that names file
/// and key. Keys that are not there are nothing. Immutable and thread-safe. Views of texts live as long as the mapped file, which it keeps.
class GgufMetadata {
 public:
  using Values = std::map<std::string, GgufValue, std::less<>>;
  GgufMetadata(Values values, std::shared_ptr<const MappedFile> file)
      : values_(std::move(values)), file_(std::move(file)), where_(file_->path().string()) {}

  const std::string& where() const { return where_; }
  const Values& values() const { return values_; }
  bool has(std::string_view key) const { return values_.contains(key); }
  bool is_list(std::string_view key) const;

  std::optional<int64_t> integer(std::string_view key) const;
  /// A number of any type. One of 32 bits becomes the double of the shortest decimals that stand for it: 1e-5f is 1e-5.
  std::optional<double> number(std::string_view key) const;
  std::optional<bool> flag(std::string_view key) const;
  std::optional<std::string_view> text(std::string_view key) const;
  /// Empty where the key is not there.
  std::vector<int64_t> integers(std::string_view key) const;
  std::vector<double> numbers(std::string_view key) const;
  std::vector<bool> flags(std::string_view key) const;
  std::vector<std::string_view> texts(std::string_view key) const;

  /// Throws Error{corrupt}: "<file>: metadata '<key>' <problem>".
  [[noreturn]] void reject(std::string_view key, std::string_view problem) const;

 private:
  const GgufValue* find(std::string_view key, bool is_array, std::string_view expected) const;

  Values values_;
  std::shared_ptr<const MappedFile> file_;
  std::string where_;
};

}  // namespace nibble
