#include "calibrate/spill_space.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "base/scratch_mapping.hpp"

namespace nibble {

namespace {

constexpr size_t kBlockBytes = size_t{256} << 20;  // few mappings, however many tensors
constexpr size_t kAlignment = 64;                  // a cache line

size_t rounded(size_t bytes) { return (std::max<size_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment; }

/// A mapped file and which of it is free: first fit, neighbours merged.
class Block {
 public:
  Block(const std::filesystem::path& directory, size_t bytes) : mapping_(ScratchMapping::create(directory, bytes)), free_{{0, bytes}} {}

  std::optional<size_t> take(size_t bytes) {
    auto found = std::find_if(free_.begin(), free_.end(), [&](const auto& extent) { return extent.second >= bytes; });
    if (found == free_.end()) return std::nullopt;
    auto [offset, size] = *found;
    free_.erase(found);
    if (size > bytes) free_.emplace(offset + bytes, size - bytes);
    return offset;
  }

  void give_back(size_t offset, size_t bytes) {
    auto next = free_.lower_bound(offset);
    if (next != free_.end() && next->first == offset + bytes) {
      bytes += next->second;
      next = free_.erase(next);
    }
    if (next != free_.begin() && std::prev(next)->first + std::prev(next)->second == offset)
      std::prev(next)->second += bytes;
    else
      free_.emplace(offset, bytes);
  }

  std::byte* at(size_t offset) const { return mapping_->data() + offset; }
  bool is_empty() const { return free_.size() == 1 && free_.begin()->second == mapping_->size(); }

 private:
  std::unique_ptr<ScratchMapping> mapping_;
  std::map<size_t, size_t> free_;  // offset -> bytes
};

}  // namespace

class SpillSpace::Blocks {
 public:
  explicit Blocks(std::filesystem::path directory) : directory_(std::move(directory)) {}

  struct Place {
    std::shared_ptr<Block> block;
    size_t offset = 0, bytes = 0;
    std::byte* data() const { return block->at(offset); }
  };

  Place take(size_t bytes) {
    std::scoped_lock lock(mutex_);
    for (const auto& block : blocks_)
      if (auto offset = block->take(bytes)) return count({block, *offset, bytes});
    blocks_.push_back(std::make_shared<Block>(directory_, std::max(bytes, kBlockBytes)));
    return count({blocks_.back(), *blocks_.back()->take(bytes), bytes});
  }

  /// An empty block goes back to the disk, unless it is the only one: it will be needed again.
  void give_back(const Place& place) {
    std::scoped_lock lock(mutex_);
    used_ -= place.bytes;
    place.block->give_back(place.offset, place.bytes);
    if (place.block->is_empty() && blocks_.size() > 1) std::erase(blocks_, place.block);
  }

  size_t used_bytes() const {
    std::scoped_lock lock(mutex_);
    return used_;
  }

 private:
  Place count(Place place) {
    used_ += place.bytes;
    return place;
  }

  mutable std::mutex mutex_;
  std::filesystem::path directory_;
  std::vector<std::shared_ptr<Block>> blocks_;
  size_t used_ = 0;
};

SpillSpace::SpillSpace(std::filesystem::path directory) : blocks_(std::make_shared<Blocks>(std::move(directory))) {}

SpillSpace::~SpillSpace() = default;

Tensor SpillSpace::keep(const Tensor& tensor) {
  auto place = blocks_->take(rounded(tensor.byte_size()));
  std::shared_ptr<const void> owner(place.data(), [blocks = blocks_, place](const void*) { blocks->give_back(place); });
  if (tensor.byte_size() > 0) std::memcpy(place.data(), tensor.data(), tensor.byte_size());
  return Tensor::view(tensor.type(), tensor.shape(), {place.data(), tensor.byte_size()}, std::move(owner));
}

size_t SpillSpace::used_bytes() const { return blocks_->used_bytes(); }

}  // namespace nibble
