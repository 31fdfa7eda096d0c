#pragma once

#include "device/cpu/kernels/float_gemm_codes.hpp"

// Many rows: blocks of the weights are decoded to floats that stay in the first-level cache while all the rows pass.
namespace nibble::cpu {
namespace {

/// A block of decoded weights, two panels of 128 columns, takes 16 KiB of a first-level cache of 32 or more.
constexpr size_t kBlockColumns = 128;
constexpr size_t kDecodedPanels = 2;
constexpr size_t kDecodedStride = kBlockColumns * kPanelRows;
/// Rows that share a decoded block: decoding costs about 4 % of their arithmetic.
constexpr size_t kBlockRows = 48;
/// Panels that pass over a copied block of activations: copying from the third-level cache costs about 3 % of their arithmetic.
constexpr size_t kBlockPanels = 8;
/// Floats from row to row of copied activations: an odd number of cache lines, so that the rows of a tile do not compete for the same
/// ways of the cache, as rows 4 KiB apart do.
constexpr size_t kCopyStride = kBlockColumns + kPanelRows;

/// Sums are [panel][row][lane].
constexpr size_t at_sum(size_t row, size_t panel) { return (panel * kBlockRows + row) * kPanelRows; }

struct BlockSums {
  alignas(64) float group[kBlockPanels * kBlockRows * kPanelRows];  ///< of the group under way
  alignas(64) float total[kBlockPanels * kBlockRows * kPanelRows];  ///< of the groups before
};

/// Some columns of one group, of a few rows of x and panels of decoded weights.
struct Tile {
  const float* weights;  ///< [panel][column][lane]
  const float* x;        ///< rows kCopyStride apart
  size_t columns;
  bool starts, ends;                  ///< the group
  float *group, *total;               ///< sums, of the first row and panel
  const float (*scales)[kPanelRows];  ///< of each panel
};

template <class Simd, size_t rows, size_t panels>
struct TileSums {
  static constexpr size_t kVectors = panels * kParts<Simd>;
  typename Simd::Floats at[rows][kVectors];

  /// Where vector v of lanes lies when panels are `stride` apart.
  static constexpr size_t place(size_t v, size_t stride) { return v / kParts<Simd> * stride + v % kParts<Simd> * Simd::kLanes; }
  static constexpr size_t place_of_sum(size_t row, size_t v) { return at_sum(row, 0) + place(v, at_sum(0, 1)); }

  [[gnu::always_inline]] void load(const Tile& tile) {
#pragma GCC unroll 16
    for (size_t m = 0; m < rows; ++m)
#pragma GCC unroll 16
      for (size_t v = 0; v < kVectors; ++v) at[m][v] = tile.starts ? Simd::zero() : Simd::load(tile.group + place_of_sum(m, v));
  }
  [[gnu::always_inline]] void add_column(const float* weights, const float* x) {
    typename Simd::Floats column[kVectors];
#pragma GCC unroll 16
    for (size_t v = 0; v < kVectors; ++v) column[v] = Simd::load(weights + place(v, kDecodedStride));
#pragma GCC unroll 16
    for (size_t m = 0; m < rows; ++m) {
      auto value = Simd::broadcast(x[m * kCopyStride]);
#pragma GCC unroll 16
      for (size_t v = 0; v < kVectors; ++v) at[m][v] = Simd::multiply_add(value, column[v], at[m][v]);
    }
  }
  [[gnu::always_inline]] void store(const Tile& tile) const {
#pragma GCC unroll 16
    for (size_t m = 0; m < rows; ++m)
#pragma GCC unroll 16
      for (size_t v = 0; v < kVectors; ++v) Simd::store(tile.group + place_of_sum(m, v), at[m][v]);
  }
  [[gnu::always_inline]] void add_scaled(const Tile& tile) const {
#pragma GCC unroll 16
    for (size_t v = 0; v < kVectors; ++v) {
      auto scale = Simd::load(tile.scales[0] + place(v, kPanelRows));
#pragma GCC unroll 16
      for (size_t m = 0; m < rows; ++m) {
        float* y = tile.total + place_of_sum(m, v);
        Simd::store(y, Simd::multiply_add(at[m][v], scale, Simd::load(y)));
      }
    }
  }
};

template <class Simd, size_t rows, size_t panels>
void multiply_tile(const Tile& tile) {
  TileSums<Simd, rows, panels> sums;
  sums.load(tile);
  for (size_t k = 0; k < tile.columns; ++k) sums.add_column(tile.weights + k * kPanelRows, tile.x + k);
  if (tile.ends)
    sums.add_scaled(tile);
  else
    sums.store(tile);
}

using MultiplyTile = void (*)(const Tile&);

/// The kernel for `rows` rows: multiply_tile<Simd, rows, panels>.
template <class Simd, size_t panels, size_t candidate = Simd::kTileRows>
MultiplyTile tile_of(size_t rows) {
  if constexpr (candidate == 1) {
    return multiply_tile<Simd, 1, panels>;
  } else {
    return rows == candidate ? multiply_tile<Simd, candidate, panels> : tile_of<Simd, panels, candidate - 1>(rows);
  }
}

/// Columns begin .. end of a panel, less their zero points, to out[column][lane]; groups of whole vectors.
template <class Simd, CodeType type>
void decode_groups(const PackedMatrix& w, size_t panel, size_t begin, size_t end, float* out) {
  using Code = Decoder<Simd, type>;
  size_t columns = w.padded_columns(), group = columns_per_group(w), groups = (columns + group - 1) / group;
  const std::byte* codes = w.codes + panel * w.panel_bytes() + begin / Code::kColumns * Code::kBytes;
  for (size_t k = begin; k < end;) {
    typename Code::Group constants[kParts<Simd>];
    for (size_t part = 0; part < kParts<Simd>; ++part)
      constants[part].load(w, (panel * groups + k / group) * kPanelRows + part * Simd::kLanes);
    for (size_t stop = minimum(end, (k / group + 1) * group); k < stop;
         k += Code::kColumns, codes += Code::kBytes, out += Code::kColumns * kPanelRows)
#pragma GCC unroll 2
      for (size_t part = 0; part < kParts<Simd>; ++part)
        Code::decode(codes + part * Code::kPartBytes, constants[part],
                     [&](size_t c, typename Simd::Floats weights) { Simd::store(out + c * kPanelRows + part * Simd::kLanes, weights); });
  }
}

/// Groups may begin inside a vector of codes: takes zero points off after decoding. As exact as taking them off before.
template <class Simd, CodeType type>
void decode_columns(const PackedMatrix& w, size_t panel, size_t begin, size_t end, float* out) {
  PackedMatrix plain = w;
  plain.scale_type = ScaleType::none;
  plain.zero_points = nullptr;
  plain.zero_point = 0;
  decode_groups<Simd, type>(plain, panel, begin, end, out);
  if (type != CodeType::u4 && type != CodeType::u8) return;
  for (size_t k = begin; k < end; ++k)
    for (size_t lane = 0; lane < kPanelRows; lane += Simd::kLanes, out += Simd::kLanes) {
      auto zero = zero_points<Simd>(w, (panel * w.groups() + k / w.group_size) * kPanelRows + lane);
      Simd::store(out, Simd::subtract(Simd::load(out), zero));
    }
}

template <class Simd, CodeType type>
bool groups_are_whole_vectors(const PackedMatrix& w) {
  return columns_per_group(w) % Decoder<Simd, type>::kColumns == 0;
}

/// Up to kBlockPanels panels times up to kBlockRows rows of x, over all their columns.
template <class Simd, CodeType type>
class RowBlock {
 public:
  RowBlock(const PackedMatrix& w, const float* x, size_t x_stride, size_t rows)
      : w_(w), x_(x), x_stride_(x_stride), rows_(rows), group_(columns_per_group(w)), groups_((w.padded_columns() + group_ - 1) / group_) {}

  void multiply(Range panels) {
    first_panel_ = panels.begin;
    for (size_t p = 0; p < panels.end - panels.begin; ++p) std::memset(sums_.total + at_sum(0, p), 0, rows_ * kPanelRows * sizeof(float));
    for (begin_ = 0; begin_ < w_.padded_columns(); begin_ = end_) {
      end_ = minimum(begin_ + kBlockColumns, w_.padded_columns());
      for (size_t m = 0; m < rows_; ++m) std::memcpy(copy_ + m * kCopyStride, x_ + m * x_stride_ + begin_, (end_ - begin_) * sizeof(float));
      for (size_t panel = panels.begin; panel < panels.end; panel += kDecodedPanels)
        multiply_panels(panel - first_panel_, minimum(kDecodedPanels, panels.end - panel));
    }
  }

  void write(const GemmOutput& out, size_t first_row, Range panels) const {
    for (size_t m = 0; m < rows_; ++m)
      for (size_t panel = panels.begin; panel < panels.end; ++panel)
        write_row(w_, out, first_row + m, panel, sums_.total + at_sum(m, panel - panels.begin));
  }

 private:
  void decode(size_t panel, size_t count) {
    auto run = groups_are_whole_vectors<Simd, type>(w_) ? decode_groups<Simd, type> : decode_columns<Simd, type>;
    for (size_t p = 0; p < count; ++p) run(w_, first_panel_ + panel + p, begin_, end_, decoded_ + p * kDecodedStride);
  }

  /// Tiles of about the same number of rows: few rows keep the arithmetic units less busy.
  void multiply_panels(size_t panel, size_t count) {
    decode(panel, count);
    size_t tiles = (rows_ + Simd::kTileRows - 1) / Simd::kTileRows;
    for (size_t i = 0; i < tiles; ++i) {
      size_t row = i * rows_ / tiles, rows = (i + 1) * rows_ / tiles - row, p = 0;
      for (; p + Simd::kTilePanels <= count; p += Simd::kTilePanels)
        multiply_groups(tile_of<Simd, Simd::kTilePanels>(rows), Simd::kTilePanels, row, panel + p, decoded_ + p * kDecodedStride);
      for (; p < count; ++p) multiply_groups(tile_of<Simd, 1>(rows), 1, row, panel + p, decoded_ + p * kDecodedStride);
    }
  }

  void multiply_groups(MultiplyTile multiply_tile, size_t panels, size_t row, size_t panel, const float* weights) {
    for (size_t k = begin_; k < end_;) {
      size_t g = k / group_, group_end = minimum((g + 1) * group_, w_.padded_columns()), stop = minimum(end_, group_end);
      alignas(64) float scales[kDecodedPanels][kPanelRows];
      if (stop == group_end)
        for (size_t p = 0; p < panels; ++p) copy_scales(first_panel_ + panel + p, g, scales[p]);
      size_t offset = k - begin_;
      multiply_tile({weights + offset * kPanelRows, copy_ + row * kCopyStride + offset, stop - k, k == g * group_, stop == group_end,
                     sums_.group + at_sum(row, panel), sums_.total + at_sum(row, panel), scales});
      k = stop;
    }
  }

  void copy_scales(size_t panel, size_t g, float* to) const {
    for (size_t lane = 0; lane < kPanelRows; lane += Simd::kLanes)
      Simd::store(to + lane, load_scales<Simd>(w_, (panel * groups_ + g) * kPanelRows + lane));
  }

  const PackedMatrix& w_;
  const float* x_;
  size_t x_stride_, rows_, group_, groups_;
  size_t first_panel_ = 0, begin_ = 0, end_ = 0;                ///< panels and columns under way
  alignas(64) float decoded_[kDecodedPanels * kDecodedStride];  ///< [panel][column][lane]
  alignas(64) float copy_[kBlockRows * kCopyStride];
  BlockSums sums_;
};

template <class Simd, CodeType type>
void many_rows(const PackedMatrix& w, const float* x, size_t x_stride, const GemmOutput& out, Range panels, Range rows) {
  for (size_t row = rows.begin; row < rows.end; row += kBlockRows) {
    RowBlock<Simd, type> block(w, x + row * x_stride, x_stride, minimum(kBlockRows, rows.end - row));
    for (size_t panel = panels.begin; panel < panels.end; panel += kBlockPanels) {
      Range some{panel, minimum(panel + kBlockPanels, panels.end)};
      block.multiply(some);
      block.write(out, row, some);
    }
  }
}

}  // namespace
}  // namespace nibble::cpu
