// The zip form of torch.save: https://docs.pytorch.org/docs/stable/notes/serialization.html. Below one root directory: data.pkl, a pickle
// in which storages stand as persistent ids; data/<key>, the bytes of each storage; byteorder.
#include "base/fail.hpp"
#include "checkpoint/byte_reader.hpp"
#include "checkpoint/pytorch_weights.hpp"
#include "checkpoint/shown.hpp"
#include "checkpoint/zip_directory.hpp"

namespace nibble {

namespace {

void check_byte_order(const ZipDirectory& zip, const std::string& root, const std::string& file) {
  if (!zip.contains(root + "byteorder")) return;  // before PyTorch 2.1
  auto order = as_text(zip.stored(root + "byteorder"));
  if (order != "little") fail(ErrorKind::unsupported, "{}: its byte order is {}, Nibble reads little-endian files", file, shown(order));
}

}  // namespace

std::unique_ptr<WeightSource> open_pytorch_archive(std::shared_ptr<const MappedFile> file) {
  auto path = file->path().string();
  ZipDirectory zip(file->bytes(), path);
  std::string root(zip.first().substr(0, zip.first().find('/') + 1));
  if (!zip.contains(root + "data.pkl")) fail(ErrorKind::unsupported, "{}: a zip archive, but not one of torch.save", path);
  if (zip.contains(root + "constants.pkl"))
    fail(ErrorKind::unsupported, "{}: a TorchScript program, not a file of weights: save the state dict instead", path);
  check_byte_order(zip, root, path);
  auto pickle = read_pickle(zip.stored(root + "data.pkl"), path + ": data.pkl");
  auto find_storage = [&](const PickleValue& storage) { return zip.stored(fmt::format("{}data/{}", root, storage.text)); };
  auto weights = pytorch_weights(pickle, find_storage, path);
  return std::make_unique<MappedWeights>(std::move(file), std::move(weights), std::map<std::string, std::string>{});
}

}  // namespace nibble
