#include "checkpoint/samples.hpp"

#include <atomic>
#include <fstream>

namespace nibble::samples {

namespace fs = std::filesystem;

fs::path data(std::string_view name) { return fs::path(NIBBLE_SOURCE_DIR) / "tests/data/checkpoint" / name; }

Directory::Directory() {
  std::string pattern = (fs::temp_directory_path() / "nibble-checkpoint-XXXXXX").string();
  if (!::mkdtemp(pattern.data())) throw std::runtime_error("cannot make " + pattern);
  path_ = pattern;
}

Directory::~Directory() { fs::remove_all(path_); }

fs::path Directory::write(std::string_view name, std::string_view content) const {
  fs::path path = path_ / name;
  fs::remove(path);  // some file systems flush a file that is truncated and written again, which takes milliseconds
  std::ofstream(path, std::ios::binary).write(content.data(), static_cast<std::streamsize>(content.size()));
  return path;
}

std::string little_endian(uint64_t value, size_t width) {
  std::string out;
  for (size_t i = 0; i < width; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
  return out;
}

std::string safetensors(std::string_view header, std::string_view content) {
  return little_endian(header.size(), 8) + std::string(header) + std::string(content);
}

namespace {

std::string local_entry(const ZipEntry& entry) {
  auto size = little_endian(entry.content.size(), 4);
  return "PK\x03\x04" + little_endian(0, 2) + little_endian(entry.flags, 2) + little_endian(entry.method, 2) + std::string(8, '\0') + size +
         size + little_endian(entry.name.size(), 2) + little_endian(0, 2) + entry.name + entry.content;
}

std::string central_entry(const ZipEntry& entry, size_t offset, bool zip64) {
  uint64_t size = entry.content.size();
  std::string extra, size_field = little_endian(zip64 ? 0xffffffff : size, 4), offset_field = little_endian(zip64 ? 0xffffffff : offset, 4);
  if (zip64)
    extra = little_endian(1, 2) + little_endian(24, 2) + little_endian(size, 8) + little_endian(size, 8) + little_endian(offset, 8);
  return "PK\x01\x02" + little_endian(0, 4) + little_endian(entry.flags, 2) + little_endian(entry.method, 2) + std::string(8, '\0') +
         size_field + size_field + little_endian(entry.name.size(), 2) + little_endian(extra.size(), 2) + std::string(10, '\0') +
         offset_field + entry.name + extra;
}

std::string zip64_end(size_t entries, size_t size, size_t offset) {
  return "PK\x06\x06" + little_endian(44, 8) + std::string(12, '\0') + little_endian(entries, 8) + little_endian(entries, 8) +
         little_endian(size, 8) + little_endian(offset, 8) + "PK\x06\x07" + little_endian(0, 4) + little_endian(offset + size, 8) +
         little_endian(1, 4);
}

}  // namespace

std::string zip(const std::vector<ZipEntry>& entries, bool zip64) {
  std::string out, central;
  for (const auto& entry : entries) {
    central += central_entry(entry, out.size(), zip64);
    out += local_entry(entry);
  }
  size_t offset = out.size(), count = entries.size();
  out += central;
  if (zip64) out += zip64_end(count, central.size(), offset);
  return out + "PK\x05\x06" + little_endian(0, 4) + little_endian(zip64 ? 0xffff : count, 2) + little_endian(zip64 ? 0xffff : count, 2) +
         little_endian(zip64 ? 0xffffffff : central.size(), 4) + little_endian(zip64 ? 0xffffffff : offset, 4) + little_endian(0, 2);
}

std::string archive(std::string_view pickle, std::string_view storage, std::string_view byte_order) {
  return zip({{"model/data.pkl", std::string(pickle)},
              {"model/byteorder", std::string(byte_order)},
              {"model/data/0", std::string(storage)},
              {"model/version", "3\n"}});
}

std::string text(std::string_view value) { return "X" + little_endian(value.size(), 4) + std::string(value); }

std::string integer(int64_t value) { return "\x8a\x08" + little_endian(static_cast<uint64_t>(value), 8); }

std::string tuple(const std::vector<std::string>& items) {
  std::string out = "(";
  for (const auto& item : items) out += item;
  return out + "t";
}

std::string global(std::string_view module, std::string_view name) { return "c" + std::string(module) + "\n" + std::string(name) + "\n"; }

std::string storage(std::string_view storage_class, int64_t elements) {
  return tuple({text("storage"), global("torch", storage_class), text("0"), text("cpu"), integer(elements)}) + "Q";
}

std::string tensor(const std::string& storage, int64_t offset, const Shape& shape, const std::vector<int64_t>& strides) {
  auto integers = [](const std::vector<int64_t>& values) {
    std::vector<std::string> items;
    for (int64_t value : values) items.push_back(integer(value));
    return tuple(items);
  };
  return global("torch._utils", "_rebuild_tensor_v2") +
         tuple({storage, integer(offset), integers(shape), integers(strides), "\x89", global("collections", "OrderedDict") + ")R"}) + "R";
}

std::string state_dict(const std::vector<std::pair<std::string, std::string>>& items) {
  std::string out = "\x80\x02}(";
  for (const auto& [name, value] : items) out += text(name) + value;
  return out + "u.";
}

::testing::AssertionResult fails(ErrorKind kind, const std::vector<std::string>& parts, const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    std::string message = error.what();
    if (error.kind() != kind)
      return ::testing::AssertionFailure() << "threw " << to_string(error.kind()) << " where " << to_string(kind)
                                           << " was due: " << message;
    for (const auto& part : parts)
      if (message.find(part) == std::string::npos) return ::testing::AssertionFailure() << "no \"" << part << "\" in: " << message;
    return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure() << "threw nothing";
}

uint64_t read_everything(const WeightSource& weights) {
  uint64_t sum = 0;
  for (const auto& name : weights.names()) {
    auto tensor = weights.get(name);
    for (std::byte byte : tensor.bytes()) sum += std::to_integer<uint64_t>(byte);
  }
  return sum;
}

}  // namespace nibble::samples
