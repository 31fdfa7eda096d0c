// Sharded checkpoints: an index {"metadata": {...}, "weight_map": {tensor: file}} with the files beside it.
#include <functional>
#include <map>

#include "base/fail.hpp"
#include "base/mapped_file.hpp"
#include "checkpoint/json_events.hpp"
#include "checkpoint/shown.hpp"
#include "checkpoint/weight_source.hpp"

namespace nibble {

namespace {

using ShardNames = std::map<std::string, std::string, std::less<>>;  // by tensor
using OpenShard = std::unique_ptr<WeightSource> (*)(const std::filesystem::path&);

constexpr size_t kMaxIndexBytes = 100'000'000;

/// Keeps the "weight_map" and skips all else.
class IndexReader final : public JsonEvents {
 public:
  using JsonEvents::JsonEvents;
  ShardNames take() && {
    if (!seen_map_) fail(ErrorKind::corrupt, "{}: has no \"weight_map\"", where());
    return std::move(shards_);
  }

 private:
  void on_open(char bracket) override {
    if (bracket != '{' || depth_ == 2) unexpected(bracket == '{' ? "an object" : "a list");
    ++depth_;
  }
  void on_close(char) override { --depth_; }
  void on_key(std::string& key) override {
    if (depth_ == 2) {
      tensor_ = std::move(key);
    } else if (key != "weight_map") {
      skip_value();
    } else if (std::exchange(seen_map_, true)) {
      fail(ErrorKind::corrupt, "{}: \"weight_map\" appears twice", where());
    }
  }
  void on_string(std::string& value) override {
    if (depth_ != 2) unexpected("a string");
    if (!shards_.emplace(tensor_, std::move(value)).second) fail(ErrorKind::corrupt, "{}: lists {} twice", where(), shown(tensor_));
  }
  void on_unsigned(uint64_t) override { unexpected("a number"); }
  void on_other(std::string_view what) override { unexpected(what); }

  [[noreturn]] void unexpected(std::string_view what) const {
    if (depth_ < 2)
      fail(ErrorKind::corrupt, "{}: {} where {} should be an object", where(), what, seen_map_ ? "\"weight_map\"" : "the index");
    fail(ErrorKind::corrupt, "{}: \"weight_map\" has {} for {}: only file names may stand there", where(), what, shown(tensor_));
  }

  ShardNames shards_;
  std::string tensor_;
  int depth_ = 0;
  bool seen_map_ = false;
};

void check_file_name(const std::string& shard, const std::string& tensor, const std::string& index) {
  bool plain = !shard.empty() && shard != "." && shard != ".." && shard.find_first_of(std::string_view("/\\:\0", 4)) == std::string::npos;
  if (!plain)
    fail(ErrorKind::corrupt, "{}: tensor {} is said to be in {}: only plain names of files in the same directory may stand there", index,
         shown(tensor), shown(shard));
}

/// Tensors of several files under one index. Thread-safe, immutable.
class ShardedWeights final : public WeightSource {
 public:
  ShardedWeights(const std::filesystem::path& index, OpenShard open) : index_(index) {
    IndexReader reader(index.string());
    reader.parse(read_file(index, kMaxIndexBytes));
    auto listed = std::move(reader).take();
    for (const auto& [tensor, shard] : listed) add(tensor, shard, open);
    for (const auto& [name, shard] : shards_) metadata_.insert(shard->metadata().begin(), shard->metadata().end());
  }

  std::vector<std::string> names() const override {
    std::vector<std::string> out;
    for (const auto& [name, shard] : tensors_) out.push_back(name);
    return out;
  }
  bool contains(std::string_view name) const override { return tensors_.contains(name); }
  WeightInfo info(std::string_view name) const override { return shard_of(name).info(name); }
  Tensor get(std::string_view name) const override { return shard_of(name).get(name); }
  void release(std::string_view name, PageCache cache) const override {
    if (auto found = tensors_.find(name); found != tensors_.end()) found->second->release(name, cache);
  }
  const std::map<std::string, std::string>& metadata() const override { return metadata_; }

 private:
  void add(const std::string& tensor, const std::string& shard, OpenShard open) {
    auto found = shards_.find(shard);
    if (found == shards_.end()) found = shards_.emplace(shard, open_shard(tensor, shard, open)).first;
    if (!found->second->contains(tensor))
      fail(ErrorKind::corrupt, "{}: tensor {} should be in {}, which does not hold it: index and shards are not of the same model",
           index_.string(), shown(tensor), shown(shard));
    tensors_.emplace_hint(tensors_.end(), tensor, found->second.get());
  }

  std::unique_ptr<WeightSource> open_shard(const std::string& tensor, const std::string& shard, OpenShard open) const {
    check_file_name(shard, tensor, index_.string());
    auto path = index_.parent_path() / shard;
    std::error_code ignored;
    if (!std::filesystem::exists(path, ignored))
      fail(ErrorKind::not_found, "{}: this file is missing, and tensor {} is in it (says {}): finish the download", path.string(),
           shown(tensor), index_.filename().string());
    return open(path);
  }

  const WeightSource& shard_of(std::string_view name) const {
    auto found = tensors_.find(name);
    if (found == tensors_.end())
      fail(ErrorKind::not_found, "{}: there is no tensor {} among its {}", index_.string(), shown(name), tensors_.size());
    return *found->second;
  }

  std::filesystem::path index_;
  std::map<std::string, std::unique_ptr<WeightSource>> shards_;
  std::map<std::string, const WeightSource*, std::less<>> tensors_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace

std::unique_ptr<WeightSource> open_sharded_safetensors(const std::filesystem::path& index) {
  return std::make_unique<ShardedWeights>(index, open_safetensors);
}

std::unique_ptr<WeightSource> open_sharded_pytorch(const std::filesystem::path& index) {
  return std::make_unique<ShardedWeights>(index, open_pytorch);
}

}  // namespace nibble
