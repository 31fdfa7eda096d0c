#include "ir/bin_plan.hpp"

namespace nibble {

namespace {

constexpr uint64_t kAlignment = 64;  // a cache line, and the widest vector register
constexpr uint64_t kLarge = 4096;    // from here on padding costs under 2 %, and comparing contents would cost more than it saves

/// The value of `key`, and whether it is new.
template <class Map>
std::pair<uint64_t*, bool> entry(Map& map, const typename Map::key_type& key) {
  auto [found, fresh] = map.try_emplace(key);
  return {&found->second, fresh};
}

std::string_view content(const Tensor& view) { return {reinterpret_cast<const char*>(view.data()), view.byte_size()}; }

}  // namespace

BinPlan::BinPlan(std::span<Node* const> layers) {
  for (const Node* node : layers)
    if (node->is("Constant")) offsets_.emplace(node, place(node->constant()));
}

uint64_t BinPlan::reserve(uint64_t bytes) {
  if (bytes >= kLarge) size_ = (size_ + kAlignment - 1) / kAlignment * kAlignment;
  uint64_t offset = size_;
  size_ += bytes;
  return offset;
}

uint64_t BinPlan::place(const ConstantValue& value) {
  if (value.byte_size() == 0) return size_;
  return value.is_lazy() ? place_output(value) : place_view(value.view());
}

uint64_t BinPlan::place_view(const Tensor& view) {
  bool is_large = view.byte_size() >= kLarge;
  auto [place, fresh] = is_large ? entry(large_, std::pair(view.data(), view.byte_size())) : entry(small_, content(view));
  if (fresh) {
    *place = reserve(view.byte_size());
    stored_.push_back({view, *place});
  }
  return *place;
}

uint64_t BinPlan::place_output(const ConstantValue& value) {
  auto [found, fresh] = sources_.emplace(value.source().get(), produced_.size());
  if (fresh) produced_.push_back({value.source(), std::vector<std::optional<uint64_t>>(value.source()->output_count())});
  auto& offset = produced_[found->second].offsets[value.output()];
  if (!offset) offset = reserve(value.byte_size());
  return *offset;
}

}  // namespace nibble
