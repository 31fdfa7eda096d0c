#include "base/fail.hpp"
#include "checkpoint/byte_reader.hpp"
#include "checkpoint/pytorch_weights.hpp"

namespace nibble {

namespace {

// The pickle LONG1 of the magic number 0x1950a86a20f9469cfc6c and its STOP.
constexpr std::string_view kLegacyMagic = "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
constexpr size_t kLegacyMagicWithin = 32;  // behind opcodes of the protocol and a frame

}  // namespace

std::unique_ptr<WeightSource> open_pytorch(const std::filesystem::path& path) {
  auto file = map_weights(path);
  auto text = as_text(file->bytes());
  if (text.starts_with("PK\x03\x04")) return open_pytorch_archive(std::move(file));
  if (text.substr(0, kLegacyMagicWithin).find(kLegacyMagic) != std::string_view::npos) return open_legacy_pytorch(std::move(file));
  fail(ErrorKind::corrupt, "{}: not a file of torch.save: fetch it again, or convert the weights to safetensors", path.string());
}

}  // namespace nibble
