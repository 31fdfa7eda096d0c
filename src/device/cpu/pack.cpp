#include "device/cpu/pack.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "base/fail.hpp"
#include "device/cpu/code_rows.hpp"
#include "device/cpu/interleave.hpp"
#include "device/cpu/part_reader.hpp"
#include "tensor/convert.hpp"
#include "tensor/float_types.hpp"

namespace nibble::cpu {

namespace {

/// Rows of a panel lie this much further apart than they are long: at a distance of a power of two all 16 would fall into the same sets of
/// the L1 cache.
constexpr size_t kRowGap = 64;

/// The rows of one panel, converted, before they are interleaved.
class PanelRows {
 public:
  PanelRows(CodeType type, size_t padded_columns)
      : type_(type),
        padded_columns_(padded_columns),
        stride_(row_bytes(type, padded_columns) + kRowGap),
        words_(std::make_unique_for_overwrite<uint32_t[]>(kPanelRows * stride_ / 4)) {}

  void set(size_t r, const Elements& row) { convert_row(row, type_, padded_columns_, at(r)); }
  void clear(size_t r) { std::memset(at(r), 0, row_bytes(type_, padded_columns_)); }

  void interleave(std::byte* out) const {
    if (type_ == CodeType::f16)
      interleave_panel(reinterpret_cast<const uint16_t*>(words_.get()), stride_ / 2, padded_columns_, reinterpret_cast<uint16_t*>(out));
    else
      interleave_panel(words_.get(), stride_ / 4, row_bytes(type_, padded_columns_) / 4, reinterpret_cast<uint32_t*>(out));
  }

 private:
  std::byte* at(size_t r) { return reinterpret_cast<std::byte*>(words_.get()) + r * stride_; }

  CodeType type_;
  size_t padded_columns_, stride_;
  std::unique_ptr<uint32_t[]> words_;
};

/// 16 rows of a constant [columns, all rows], a panel, as rows.
class TransposedRows {
 public:
  TransposedRows(const Elements& codes, size_t all_rows)
      : codes_(codes), all_rows_(all_rows), columns_(codes.count / all_rows), tile_(columns_ * kPanelRows * bit_width(codes.type) / 8) {}

  void load(size_t first_row) {
    size_t rows = std::min(kPanelRows, all_rows_ - first_row);
    if (bit_width(codes_.type) == 16)
      transpose<uint16_t>(first_row, rows);
    else
      transpose<uint32_t>(first_row, rows);
  }
  Elements row(size_t r) const { return {codes_.type, tile_.data(), r * columns_, columns_}; }

 private:
  template <class Word>
  void transpose(size_t first_row, size_t rows) {
    const std::byte* source = codes_.data + (codes_.first + first_row) * sizeof(Word);
    for (size_t c = 0; c < columns_; ++c)
      for (size_t r = 0; r < rows; ++r)
        std::memcpy(&tile_[(r * columns_ + c) * sizeof(Word)], source + (c * all_rows_ + r) * sizeof(Word), sizeof(Word));
  }

  Elements codes_;
  size_t all_rows_, columns_;
  std::vector<std::byte> tile_;
};

/// One slice of a part on its way into its place.
class Packer {
 public:
  Packer(const PackedFormat& format, const WeightMatrix& part, Range panels, const PackedSlice& out)
      : format_(format),
        part_(part),
        matrix_(describe(format)),
        panels_(panels.end - panels.begin),
        rows_{panels.begin * kPanelRows, std::min(panels.end * kPanelRows, part.rows)},
        out_(out),
        reader_(part, rows_) {}

  void pack_codes() {
    Elements codes = reader_.codes();
    if (part_.transposed) {
      TransposedRows tile(codes, part_.rows);
      pack_rows([&](size_t panel) { tile.load(rows_.begin + panel * kPanelRows); }, [&](size_t row) { return tile.row(row % kPanelRows); });
    } else {
      auto row_at = [&](size_t row) { return Elements{codes.type, codes.data, codes.first + row * part_.columns, part_.columns}; };
      pack_rows([](size_t) {}, row_at);
    }
  }

  void pack_scales() {
    if (format_.scale_type == ScaleType::none) return;
    std::vector<float> scales = per_group(reader_.scales(), 1.0f);
    if (format_.scale_type == ScaleType::f16)
      interleave_groups(scales, reinterpret_cast<uint16_t*>(out_.scales), [](float v) { return to_float16(v).bits; });
    else
      interleave_groups(scales, reinterpret_cast<float*>(out_.scales), [](float v) { return v; });
  }

  void pack_zero_points() {
    if (!format_.has_zero_points) return;
    int shift = unsigned_shift(part_.codes.type());
    std::vector<float> zeros = per_group(reader_.zero_points(), 0.0f);
    interleave_groups(zeros, out_.zero_points, [&](float v) {
      int zero = static_cast<int>(v) + shift;
      if (zero < 0 || zero > 255)
        fail(ErrorKind::unsupported, "weight '{}': zero point {} of {} codes", part_.name, v, to_string(part_.codes.type()));
      return static_cast<uint8_t>(zero);
    });
  }

 private:
  size_t rows() const { return rows_.end - rows_.begin; }

  /// begin(panel) comes before the panel's rows, row_at(row of the slice).
  template <class Begin, class Row>
  void pack_rows(Begin begin, Row row_at) {
    PanelRows panel(format_.code_type, matrix_.padded_columns());
    for (size_t p = 0; p < panels_; ++p) {
      begin(p);
      for (size_t r = 0; r < kPanelRows; ++r) {
        size_t row = p * kPanelRows + r;
        if (row < rows())
          panel.set(r, row_at(row));
        else
          panel.clear(r);
      }
      panel.interleave(out_.codes + p * matrix_.panel_bytes());
    }
  }

  /// [rows, groups of the model]; one value repeated, `absent` where there is none.
  std::vector<float> per_group(const Elements& values, float absent) const {
    size_t count = rows() * model_groups(part_);
    if (values.count == count && count > 0) return to_floats(values);
    return std::vector<float>(count, values.count == 0 ? absent : to_floats(values)[0]);
  }

  /// [panel][group][row of the panel], zeros for rows and groups of the padding.
  template <class Out, class Convert>
  void interleave_groups(const std::vector<float>& values, Out* out, Convert convert) const {
    size_t from = model_groups(part_), to = matrix_.groups();
    std::fill_n(out, panels_ * to * kPanelRows, Out{});
    for (size_t row = 0; row < rows(); ++row) {
      Out* place = out + row / kPanelRows * to * kPanelRows + row % kPanelRows;
      for (size_t g = 0; g < from; ++g) place[g * kPanelRows] = convert(values[row * from + g]);
    }
  }

  const PackedFormat& format_;
  const WeightMatrix& part_;
  PackedMatrix matrix_;
  size_t panels_;
  Range rows_;
  const PackedSlice& out_;
  PartReader reader_;
};

}  // namespace

void pack_panels(const PackedFormat& format, const WeightMatrix& part, Range panels, const PackedSlice& out) {
  Packer packer(format, part, panels, out);
  packer.pack_codes();
  packer.pack_scales();
  packer.pack_zero_points();
}

}  // namespace nibble::cpu
