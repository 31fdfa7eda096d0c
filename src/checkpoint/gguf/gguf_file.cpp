#include "checkpoint/gguf/gguf_file.hpp"

#include <algorithm>
#include <bit>

#include "base/fail.hpp"
#include "base/utf8.hpp"
#include "checkpoint/mapped_weights.hpp"
#include "checkpoint/shown.hpp"

namespace nibble {

namespace {

constexpr size_t kMaxNameBytes = 1024;
constexpr uint32_t kMaxDims = 4;  // ggml's
constexpr uint64_t kMaxAlignment = uint64_t{1} << 30;

void check_version(ByteReader& reader) {
  if (reader.remaining() < 24 || reader.text(4) != "GGUF") {
    fail(ErrorKind::corrupt, "{}: not a GGUF file (files of llama.cpp from before August 2023 have other formats: convert the model anew)",
         reader.where());
  }
  auto version = reader.read<uint32_t>();
  if (version != 0 && (version & 0xffffu) == 0)
    fail(ErrorKind::unsupported, "{}: a big-endian GGUF file, only little-endian ones are supported", reader.where());
  if (version != 2 && version != 3)
    fail(ErrorKind::unsupported, "{}: GGUF version {} is not supported, only 2 and 3: convert the model anew", reader.where(), version);
}

/// A number of entries that take at least `entry_bytes` each.
uint64_t read_count(ByteReader& reader, size_t entry_bytes, std::string_view what) {
  auto count = reader.read<uint64_t>();
  if (count > reader.remaining() / entry_bytes)
    fail(ErrorKind::corrupt, "{}: it should have {} {}, more than fit the file", reader.where(), count, what);
  return count;
}

std::string read_name(ByteReader& reader, std::string_view what) {
  auto length = reader.read<uint64_t>();
  if (length == 0 || length > kMaxNameBytes)
    fail(ErrorKind::corrupt, "{}: a name of {} has {} bytes (1 to {} are possible)", reader.where(), what, length, kMaxNameBytes);
  std::string name(reader.text(length));
  if (!is_utf8(name)) fail(ErrorKind::corrupt, "{}: a name of {} is not UTF-8", reader.where(), what);
  return name;
}

GgufMetadata read_metadata(ByteReader& reader, uint64_t count, std::shared_ptr<const MappedFile> file) {
  GgufMetadata::Values values;
  for (uint64_t i = 0; i < count; ++i) {
    std::string key = read_name(reader, "metadata");
    GgufValue value = read_gguf_value(reader, static_cast<GgufType>(reader.read<uint32_t>()));
    if (!values.emplace(key, value).second) fail(ErrorKind::corrupt, "{}: metadata {} appears twice", reader.where(), shown(key));
  }
  return {std::move(values), std::move(file)};
}

struct TensorEntry {
  GgufTensor tensor;
  uint64_t offset = 0;
};

Shape read_shape(ByteReader& reader, const std::string& name) {
  auto rank = reader.read<uint32_t>();
  if (rank > kMaxDims) fail(ErrorKind::corrupt, "{}: tensor {} has {} dimensions", reader.where(), shown(name), rank);
  Shape shape(rank);
  for (size_t i = rank; i-- > 0;) {
    auto size = reader.read<uint64_t>();
    if (size == 0 || size > uint64_t{1} << 62)
      fail(ErrorKind::corrupt, "{}: tensor {} has a dimension of {} elements", reader.where(), shown(name), size);
    shape[i] = static_cast<int64_t>(size);
  }
  return shape;
}

const GgmlType& read_type(ByteReader& reader, const std::string& name) {
  auto number = reader.read<uint32_t>();
  const GgmlType* type = find_ggml_type(number);
  if (!type)
    fail(ErrorKind::unsupported, "{}: tensor {} is of ggml's type number {}, which is not supported: quantize the model to another one",
         reader.where(), shown(name), number);
  return *type;
}

TensorEntry read_tensor(ByteReader& reader) {
  TensorEntry entry;
  entry.tensor.name = read_name(reader, "tensors");
  entry.tensor.shape = read_shape(reader, entry.tensor.name);
  entry.tensor.type = &read_type(reader, entry.tensor.name);
  entry.offset = reader.read<uint64_t>();
  return entry;
}

/// Bytes of a tensor; its rows are whole blocks.
uint64_t tensor_bytes(const GgufTensor& tensor, const std::string& where) {
  uint64_t count = 0, row = tensor.shape.empty() ? 1 : static_cast<uint64_t>(tensor.shape.back());
  try {
    count = element_count(tensor.shape);
  } catch (const Error&) {
    fail(ErrorKind::corrupt, "{}: tensor {} has a shape of {}", where, shown(tensor.name), to_string(tensor.shape));
  }
  if (row % tensor.type->block_elements != 0)
    fail(ErrorKind::corrupt, "{}: tensor {} has rows of {} elements, which {} cannot hold: its blocks have {}", where, shown(tensor.name),
         row, tensor.type->name, tensor.type->block_elements);
  uint64_t blocks = count / tensor.type->block_elements;
  if (blocks > (uint64_t{1} << 62) / tensor.type->block_bytes)
    fail(ErrorKind::corrupt, "{}: tensor {} has a shape of {}", where, shown(tensor.name), to_string(tensor.shape));
  return blocks * tensor.type->block_bytes;
}

uint64_t alignment_of(const GgufMetadata& metadata) {
  int64_t alignment = metadata.integer("general.alignment").value_or(32);
  if (alignment < 1 || static_cast<uint64_t>(alignment) > kMaxAlignment || !std::has_single_bit(static_cast<uint64_t>(alignment)))
    metadata.reject("general.alignment", fmt::format("is {}, it should be a power of two", alignment));
  return static_cast<uint64_t>(alignment);
}

void place(TensorEntry& entry, std::span<const std::byte> data, uint64_t alignment, const std::string& where) {
  GgufTensor& tensor = entry.tensor;
  uint64_t size = tensor_bytes(tensor, where);
  if (entry.offset % alignment != 0)
    fail(ErrorKind::corrupt, "{}: tensor {} begins at byte {} of the data, no multiple of {}", where, shown(tensor.name), entry.offset,
         alignment);
  if (entry.offset > data.size() || size > data.size() - entry.offset)
    fail(ErrorKind::corrupt, "{}: tensor {} should take {} bytes from byte {} of the data, which has {}: the download is incomplete", where,
         shown(tensor.name), size, entry.offset, data.size());
  tensor.bytes = data.subspan(entry.offset, size);
}

std::vector<GgufTensor> read_tensors(ByteReader& reader, uint64_t count, uint64_t alignment) {
  std::vector<TensorEntry> entries;
  entries.reserve(count);
  for (uint64_t i = 0; i < count; ++i) entries.push_back(read_tensor(reader));
  uint64_t padding = (alignment - reader.position() % alignment) % alignment;
  if (count > 0) reader.take(std::min<uint64_t>(padding, reader.remaining()));
  auto data = reader.take(reader.remaining());
  std::vector<GgufTensor> tensors;
  for (TensorEntry& entry : entries) {
    place(entry, data, alignment, reader.where());
    tensors.push_back(std::move(entry.tensor));
  }
  return tensors;
}

void sort_by_name(std::vector<GgufTensor>& tensors, const std::string& where) {
  std::sort(tensors.begin(), tensors.end(), [](const GgufTensor& a, const GgufTensor& b) { return a.name < b.name; });
  auto twice =
      std::adjacent_find(tensors.begin(), tensors.end(), [](const GgufTensor& a, const GgufTensor& b) { return a.name == b.name; });
  if (twice != tensors.end()) fail(ErrorKind::corrupt, "{}: tensor {} appears twice", where, shown(twice->name));
}

}  // namespace

GgufFile open_gguf_file(const std::filesystem::path& path) {
  auto file = map_weights(path);
  ByteReader reader(file->bytes(), path.string());
  check_version(reader);
  constexpr size_t kTensorBytes = 8 + 1 + 4 + 4 + 8, kValueBytes = 8 + 1 + 4 + 1;  // at least: name, rank, type, offset; key, type, value
  uint64_t tensor_count = read_count(reader, kTensorBytes, "tensors"), value_count = read_count(reader, kValueBytes, "metadata entries");
  GgufMetadata metadata = read_metadata(reader, value_count, file);
  auto tensors = read_tensors(reader, tensor_count, alignment_of(metadata));
  sort_by_name(tensors, path.string());
  return {std::move(file), std::move(metadata), std::move(tensors)};
}

}  // namespace nibble
