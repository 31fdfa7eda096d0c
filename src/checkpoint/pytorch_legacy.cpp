// torch.save before PyTorch 1.6 (and since, with _use_new_zipfile_serialization=False): one after the other the pickles of a magic
// number, a protocol version, facts of the machine, the object itself and the list of its storage keys; then, for each key, the number of
// elements (8 bytes) and the elements.
#include <map>

#include "base/fail.hpp"
#include "checkpoint/byte_reader.hpp"
#include "checkpoint/pytorch_weights.hpp"
#include "checkpoint/shown.hpp"

namespace nibble {

namespace {

constexpr int64_t kProtocolVersion = 1001;

/// Pickles that follow each other in a file, then raw bytes.
class PickleSequence {
 public:
  explicit PickleSequence(const MappedFile& file) : reader_(file.bytes(), file.path().string()), bytes_(file.bytes()) {}

  Pickle next(std::string_view what) {
    auto pickle = read_pickle(bytes_.subspan(reader_.position()), fmt::format("{}: {}", reader_.where(), what));
    reader_.take(pickle.byte_size);
    return pickle;
  }

  ByteReader& rest() { return reader_; }

 private:
  ByteReader reader_;
  std::span<const std::byte> bytes_;
};

void check_machine(const Pickle& facts, const std::string& file) {
  const auto* little = facts.top().kind == PickleKind::dict ? facts.find(facts.top(), "little_endian") : nullptr;
  if (little && little->kind == PickleKind::boolean && little->number == 0)
    fail(ErrorKind::unsupported, "{}: written in big-endian byte order, Nibble reads little-endian files", file);
}

using Storages = std::map<std::string_view, const PickleValue*>;

Storages storages_of(const Pickle& object) {
  Storages out;
  for (const auto& value : object.values)
    if (value.kind == PickleKind::storage) out.emplace(value.text, &value);
  return out;
}

using StorageBytes = std::map<std::string_view, std::span<const std::byte>>;

StorageBytes read_storages(const Pickle& keys, const Storages& storages, ByteReader& reader) {
  StorageBytes out;
  if (keys.top().kind != PickleKind::list) fail(ErrorKind::corrupt, "{}: its storage keys are no list", reader.where());
  for (PickleRef ref : keys.top().items) {
    auto storage = keys[ref].kind == PickleKind::text ? storages.find(keys[ref].text) : storages.end();
    if (storage == storages.end())
      fail(ErrorKind::corrupt, "{}: lists a storage {} that nothing refers to", reader.where(), shown(keys[ref].text));
    auto count = reader.read<uint64_t>();
    if (count != static_cast<uint64_t>(storage->second->number))
      fail(ErrorKind::corrupt, "{}: storage {} has {} elements where {} are expected", reader.where(), shown(storage->first), count,
           storage->second->number);
    if (!out.emplace(storage->first, reader.take(storage_bytes(*storage->second))).second)
      fail(ErrorKind::corrupt, "{}: lists storage {} twice", reader.where(), shown(storage->first));
  }
  return out;
}

}  // namespace

std::unique_ptr<WeightSource> open_legacy_pytorch(std::shared_ptr<const MappedFile> file) {
  auto path = file->path().string();
  PickleSequence sequence(*file);
  sequence.next("magic number");
  auto version = sequence.next("protocol version");
  if (version.top().kind != PickleKind::integer || version.top().number != kProtocolVersion)
    fail(ErrorKind::unsupported, "{}: not version {} of PyTorch's old file format", path, kProtocolVersion);
  check_machine(sequence.next("machine"), path);
  auto object = sequence.next("pickle");
  auto keys = sequence.next("storage keys");
  auto storages = read_storages(keys, storages_of(object), sequence.rest());
  auto find_storage = [&](const PickleValue& storage) {
    auto found = storages.find(storage.text);
    if (found == storages.end()) fail(ErrorKind::corrupt, "{}: storage {} is missing", path, shown(storage.text));
    return found->second;
  };
  auto weights = pytorch_weights(object, find_storage, path);
  return std::make_unique<MappedWeights>(std::move(file), std::move(weights), std::map<std::string, std::string>{});
}

}  // namespace nibble
