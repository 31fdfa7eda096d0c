// https://huggingface.co/docs/safetensors: 8 bytes header length N (little-endian), N bytes of JSON, then the data of all tensors.
#include "base/fail.hpp"
#include "checkpoint/byte_reader.hpp"
#include "checkpoint/mapped_weights.hpp"
#include "checkpoint/safetensors_header.hpp"

namespace nibble {

namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the limit that the format sets

std::string_view header_text(ByteReader& reader) {
  if (reader.remaining() < 8)
    fail(ErrorKind::corrupt, "{}: too short for a safetensors file: {} bytes", reader.where(), reader.remaining());
  auto length = reader.read<uint64_t>();
  if (length > kMaxHeaderBytes)
    fail(ErrorKind::corrupt, "{}: not a safetensors file: its header would take {} bytes, the format allows {}", reader.where(), length,
         kMaxHeaderBytes);
  if (length > reader.remaining())
    fail(ErrorKind::corrupt, "{}: its header should take {} bytes and only {} are there: the download is incomplete, fetch the file again",
         reader.where(), length, reader.remaining());
  auto text = reader.text(length);
  if (!text.starts_with('{')) fail(ErrorKind::corrupt, "{}: not a safetensors file: its header does not start with '{{'", reader.where());
  return text;
}

}  // namespace

std::unique_ptr<WeightSource> open_safetensors(const std::filesystem::path& path) {
  auto file = map_weights(path);
  ByteReader reader(file->bytes(), path.string());
  auto header = parse_safetensors_header(header_text(reader), path.string());
  check_safetensors_layout(header, reader.remaining(), path.string());
  auto data = reader.take(reader.remaining());
  MappedWeightMap weights;
  for (auto& [name, entry] : header.tensors)
    weights.emplace_hint(weights.end(), name,
                         MappedWeight{entry.type, std::move(entry.shape), data.subspan(entry.begin, entry.end - entry.begin), {}});
  return std::make_unique<MappedWeights>(std::move(file), std::move(weights), std::move(header.metadata));
}

}  // namespace nibble
