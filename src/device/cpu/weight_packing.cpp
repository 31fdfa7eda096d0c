#include "device/cpu/weight_packing.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <memory>

#include "base/hash.hpp"
#include "device/cpu/pack.hpp"
#include "device/cpu/part_reader.hpp"

namespace nibble::cpu {

namespace {

/// Codes packed at a time: they stay in the L2 cache between packing, hashing and writing, and threads finish together.
constexpr size_t kSliceBytes = size_t{512} << 10;

std::vector<PackedFormat> choose_formats(std::span<const PackRequest> requests, ThreadPool& threads) {
  std::vector<PackedFormat> formats(requests.size());
  threads.parallel_for(requests.size(), 1, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) formats[i] = choose_format(requests[i]);
  });
  return formats;
}

size_t panels_of(const WeightMatrix& part) { return (part.rows + kPanelRows - 1) / kPanelRows; }

}  // namespace

struct WeightPacking::Pieces {
  struct Piece {
    size_t offset = 0, bytes = 0;
  };
  std::array<Piece, 3> sections;

  /// For sections that lie at `base` as they lie in the block.
  PackedSlice at(std::byte* base) const {
    return {base + sections[0].offset, base + sections[1].offset, reinterpret_cast<uint8_t*>(base + sections[2].offset)};
  }
};

WeightPacking::WeightPacking(std::span<const PackRequest> requests, ThreadPool& threads)
    : requests_(requests), threads_(threads), layout_(choose_formats(requests, threads)) {
  for (size_t request = 0; request < requests_.size(); ++request) cut(request);
}

void WeightPacking::cut(size_t request) {
  const PackedFormat& format = layout_.formats()[request];
  size_t step = std::max<size_t>(kSliceBytes / describe(format).panel_bytes(), 1), first_panel = 0;
  for (size_t p = 0; p < requests_[request].parts.size(); ++p) {
    const WeightMatrix& part = requests_[request].parts[p];
    size_t panels = panels_of(part), part_step = part.transposed && part.codes.is_lazy() ? panels : step;
    for (size_t at = 0; at < panels; at += part_step) slices_.push_back({request, p, first_panel, {at, std::min(at + part_step, panels)}});
    first_panel += panels;
  }
}

WeightPacking::Pieces WeightPacking::pieces_of(const Slice& slice) const {
  const PackedFormat& format = layout_.formats()[slice.request];
  const MatrixSections& sections = layout_.sections(slice.request);
  size_t all = describe(format).panels(), first = slice.first_panel + slice.panels.begin, count = slice.panels.end - slice.panels.begin;
  auto piece = [&](size_t section, size_t bytes) { return Pieces::Piece{section + first * (bytes / all), count * (bytes / all)}; };
  return {{piece(sections.codes, format.code_bytes()), piece(sections.scales, format.scale_bytes()),
           piece(sections.zero_points, format.zero_point_bytes())}};
}

void WeightPacking::release_sources(const Slice& slice) const {
  const WeightMatrix& part = part_of(slice);
  bool last = slice.panels.end == panels_of(part);
  if (!part.codes.is_lazy() && (!part.transposed || last)) {
    PartReader reader(part, {slice.panels.begin * kPanelRows, std::min(slice.panels.end * kPanelRows, part.rows)});
    file_pages_.release(bytes_of(reader.codes()));
  }
  if (!last) return;
  for (const ConstantValue& value : {part.scales, part.zero_points})
    if (!value.is_lazy() && is_present(value)) file_pages_.release(value.view().bytes());
}

void WeightPacking::pack_into(std::byte* memory) {
  for (size_t i = 0; i < layout_.formats().size(); ++i) {
    const PackedFormat& format = layout_.formats()[i];
    std::memcpy(memory + layout_.sections(i).levels, format.levels.data(), format.level_bytes());
  }
  threads_.parallel_for(slices_.size(), 1, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const Slice& slice = slices_[i];
      pack_panels(layout_.formats()[slice.request], part_of(slice), slice.panels, pieces_of(slice).at(memory));
      release_sources(slice);
    }
  });
}

size_t WeightPacking::range_count() const {
  size_t count = 0;
  for (const Slice& slice : slices_)
    for (const auto& piece : pieces_of(slice).sections) count += piece.bytes > 0;
  for (const PackedFormat& format : layout_.formats()) count += format.level_bytes() > 0;
  return count;
}

void WeightPacking::write_levels(OutputFile& file, uint64_t offset, std::vector<DataRange>& written) const {
  for (size_t i = 0; i < layout_.formats().size(); ++i) {
    const PackedFormat& format = layout_.formats()[i];
    if (format.level_bytes() == 0) continue;
    auto bytes = std::as_bytes(std::span(format.levels));
    file.write_at(offset + layout_.sections(i).levels, bytes);
    written.push_back({layout_.sections(i).levels, bytes.size(), hash64(bytes)});
  }
}

std::array<DataRange, 3> WeightPacking::pack_slice(const Slice& slice, OutputFile& file, uint64_t offset) const {
  Pieces place = pieces_of(slice), scratch = place;
  size_t bytes = 0;
  for (auto& piece : scratch.sections) {
    piece.offset = bytes;
    bytes += (piece.bytes + kSectionAlignment - 1) / kSectionAlignment * kSectionAlignment;
  }
  auto buffer = std::make_unique_for_overwrite<std::byte[]>(bytes);
  pack_panels(layout_.formats()[slice.request], part_of(slice), slice.panels, scratch.at(buffer.get()));
  std::array<DataRange, 3> written;
  for (size_t k = 0; k < written.size(); ++k) {
    std::span<const std::byte> section(buffer.get() + scratch.sections[k].offset, scratch.sections[k].bytes);
    if (section.empty()) continue;
    file.write_at(offset + place.sections[k].offset, section);
    written[k] = {place.sections[k].offset, section.size(), hash64(section)};
  }
  return written;
}

std::vector<DataRange> WeightPacking::pack_into(OutputFile& file, uint64_t offset) {
  std::vector<std::array<DataRange, 3>> made(slices_.size());
  threads_.parallel_for(slices_.size(), 1, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      made[i] = pack_slice(slices_[i], file, offset);
      release_sources(slices_[i]);
    }
  });
  std::vector<DataRange> written;
  for (const auto& ranges : made)
    std::copy_if(ranges.begin(), ranges.end(), std::back_inserter(written), [](const DataRange& range) { return range.bytes > 0; });
  write_levels(file, offset, written);
  std::sort(written.begin(), written.end(), [](const DataRange& a, const DataRange& b) { return a.offset < b.offset; });
  return written;
}

}  // namespace nibble::cpu
