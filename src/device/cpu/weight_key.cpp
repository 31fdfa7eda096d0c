#include "device/cpu/weight_key.hpp"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "base/file_pages.hpp"
#include "device/cpu/weight_file_header.hpp"

namespace nibble::cpu {

namespace {

/// Hashed at a time: much against the cost of handing it out, little against what a cached model has.
constexpr size_t kBlock = size_t{1} << 20;

using Bytes = std::span<const std::byte>;

/// The hashes of constants. One that stands for several matrices (experts, tied weights) is hashed once.
class ContentHashes {
 public:
  void add(const ConstantValue& value) {
    Bytes bytes = value.view().bytes();
    if (bytes.empty() || !first_block_.try_emplace(id(bytes), blocks_.size()).second) return;
    for (size_t at = 0; at < bytes.size(); at += kBlock) blocks_.push_back(bytes.subspan(at, std::min(kBlock, bytes.size() - at)));
  }

  void compute(ThreadPool& threads) {
    FilePages file_pages;
    hashes_.resize(blocks_.size());
    threads.parallel_for(blocks_.size(), 1, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        hashes_[i] = hash128(blocks_[i]);
        file_pages.release(blocks_[i]);
      }
    });
  }

  /// One per block.
  std::span<const Hash128> of(const ConstantValue& value) const {
    Bytes bytes = value.view().bytes();
    if (bytes.empty()) return {};
    return std::span(hashes_).subspan(first_block_.at(id(bytes)), (bytes.size() + kBlock - 1) / kBlock);
  }

 private:
  static std::pair<const std::byte*, size_t> id(Bytes bytes) { return {bytes.data(), bytes.size()}; }

  std::map<std::pair<const std::byte*, size_t>, size_t> first_block_;
  std::vector<Bytes> blocks_;
  std::vector<Hash128> hashes_;
};

/// Numbers one after the other, and their hash.
class Digest {
 public:
  void add(uint64_t value) { numbers_.push_back(value); }
  void add(const Hash128& hash) {
    add(hash.high);
    add(hash.low);
  }
  void add(const std::vector<float>& values) {
    add(values.size());
    add(hash128(std::as_bytes(std::span(values))));
  }
  void add(const ConstantValue& value, const ContentHashes& contents) {
    add(static_cast<uint64_t>(value.type()));
    add(value.byte_size());
    add(element_count(value.shape()));
    for (const Hash128& hash : contents.of(value)) add(hash);
  }
  Hash128 finish() const { return hash128(std::as_bytes(std::span(numbers_))); }

 private:
  std::vector<uint64_t> numbers_;
};

/// Every constant of a matrix, present or not.
template <class Visit>
void visit_constants(const WeightMatrix& matrix, Visit&& visit) {
  for (const ConstantValue* value : {&matrix.codes, &matrix.scales, &matrix.zero_points}) visit(*value);
}

void add(Digest& digest, const WeightMatrix& matrix, const ContentHashes& contents) {
  for (uint64_t number : {matrix.rows, matrix.columns, matrix.group_size, matrix.first_row, size_t{matrix.transposed}}) digest.add(number);
  digest.add(matrix.levels);
  visit_constants(matrix, [&](const ConstantValue& value) { digest.add(value, contents); });
}

}  // namespace

Hash128 weight_key(std::span<const PackRequest> requests, ThreadPool& threads) {
  ContentHashes contents;
  for (const PackRequest& request : requests)
    for (const WeightMatrix& matrix : request.parts) visit_constants(matrix, [&](const ConstantValue& value) { contents.add(value); });
  contents.compute(threads);
  Digest digest;
  digest.add(kWeightFileVersion);
  for (const PackRequest& request : requests) {
    digest.add(request.parts.size());
    digest.add(uint64_t{request.options.to_bf16});
    for (const WeightMatrix& matrix : request.parts) add(digest, matrix, contents);
  }
  return digest.finish();
}

}  // namespace nibble::cpu
