#include "checkpoint/gguf/gguf_model.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "checkpoint/shown.hpp"

namespace nibble {

namespace fs = std::filesystem;

namespace {

constexpr int64_t kMaxParts = 10000;
constexpr size_t kDigits = 5;  // of "-00001-of-00003.gguf"

std::string part_suffix(int64_t number, int64_t count) { return fmt::format("-{:05}-of-{:05}.gguf", number, count); }

/// "model" of "model-00002-of-00003.gguf"; nothing for names of another form.
std::optional<std::string> stem_of_part(const std::string& name, int64_t count) {
  std::string end = fmt::format("-of-{:05}.gguf", count);
  if (!name.ends_with(end) || name.size() <= end.size() + kDigits) return std::nullopt;
  std::string start = name.substr(0, name.size() - end.size() - kDigits);
  return start.ends_with('-') ? std::optional(start.substr(0, start.size() - 1)) : std::nullopt;
}

int64_t part_count(const GgufMetadata& metadata) {
  int64_t count = metadata.integer("split.count").value_or(0);
  if (count < 0 || count > kMaxParts) metadata.reject("split.count", fmt::format("is {}", count));
  return std::max<int64_t>(count, 1);
}

void check_part(const GgufMetadata& part, int64_t number, int64_t count) {
  if (part_count(part) != count || part.integer("split.no").value_or(0) != number)
    fail(ErrorKind::corrupt, "{}: it says it is part {} of {}, its name says {} of {}", part.where(),
         part.integer("split.no").value_or(0) + 1, part_count(part), number + 1, count);
}

}  // namespace

GgufModel::GgufModel(const fs::path& path) {
  GgufFile file = open_gguf_file(path);
  if (part_count(file.metadata) == 1)
    files_.push_back(std::move(file));
  else
    add_parts(path);
  index_tensors();
}

void GgufModel::add_parts(const fs::path& path) {
  int64_t count = part_count(open_gguf_file(path).metadata);
  auto stem = stem_of_part(path.filename().string(), count);
  if (!stem)
    fail(ErrorKind::not_found, "{}: one of {} parts of a model, which are looked for under names like model{}: give it such a name",
         path.string(), count, part_suffix(1, count));
  for (int64_t i = 0; i < count; ++i) {
    fs::path part = path.parent_path() / (*stem + part_suffix(i + 1, count));
    std::error_code ignored;
    if (!fs::is_regular_file(part, ignored))
      fail(ErrorKind::not_found, "{}: this part of the model is missing: finish the download", part.string());
    files_.push_back(open_gguf_file(part));
    check_part(files_.back().metadata, i, count);
  }
}

void GgufModel::index_tensors() {
  for (const GgufFile& part : files_)
    for (const GgufTensor& tensor : part.tensors)
      if (!tensors_.emplace(tensor.name, Entry{&tensor, part.file.get()}).second)
        fail(ErrorKind::corrupt, "{}: tensor {} is in another part too", part.file->path().string(), shown(tensor.name));
  auto total = metadata().integer("split.tensors.count");
  if (total && files_.size() > 1 && *total != static_cast<int64_t>(tensors_.size()))
    metadata().reject("split.tensors.count", fmt::format("is {}, the parts have {} tensors", *total, tensors_.size()));
}

const GgufTensor* GgufModel::find(std::string_view name) const {
  auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : found->second.tensor;
}

std::shared_ptr<const MappedFile> GgufModel::owner(const Entry& entry) const {
  auto found = std::find_if(files_.begin(), files_.end(), [&](const GgufFile& file) { return file.file.get() == entry.file; });
  return found->file;
}

}  // namespace nibble
