#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/weight_source.hpp"
#include "nibble/error.hpp"

namespace nibble::samples {

/// A file or directory of tests/data/checkpoint.
std::filesystem::path data(std::string_view name);

/// A directory of its own for each test, removed with it.
class Directory {
 public:
  Directory();
  ~Directory();
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(std::string_view name, std::string_view content) const;

 private:
  std::filesystem::path path_;
};

std::string little_endian(uint64_t value, size_t width);
/// A safetensors file of this header and data.
std::string safetensors(std::string_view header, std::string_view data = {});

struct ZipEntry {
  std::string name, content;
  uint16_t method = 0, flags = 0;
};
/// A zip archive as torch.save lays it out, but without padding; `zip64` adds the records that large archives have.
std::string zip(const std::vector<ZipEntry>& entries, bool zip64 = false);
/// The archive of torch.save for this pickle and one storage "0".
std::string archive(std::string_view pickle, std::string_view storage, std::string_view byte_order = "little");

// Pieces of pickles of protocol 2.
std::string text(std::string_view value);
std::string integer(int64_t value);
std::string tuple(const std::vector<std::string>& items);
std::string global(std::string_view module, std::string_view name);
/// A persistent id of storage "0".
std::string storage(std::string_view storage_class, int64_t elements);
/// A call of _rebuild_tensor_v2.
std::string tensor(const std::string& storage, int64_t offset, const Shape& shape, const std::vector<int64_t>& strides);
/// The whole pickle of {name: tensor, ...}.
std::string state_dict(const std::vector<std::pair<std::string, std::string>>& items);

/// Whether `action` throws an Error of this kind whose message holds all the parts.
::testing::AssertionResult fails(ErrorKind kind, const std::vector<std::string>& parts, const std::function<void()>& action);

/// All bytes of all tensors, so that a sanitizer sees a view that leaves its memory.
uint64_t read_everything(const WeightSource& weights);

}  // namespace nibble::samples
