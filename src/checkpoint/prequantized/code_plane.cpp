#include "checkpoint/prequantized/code_plane.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

namespace nibble {

namespace {

uint32_t word_at(const std::byte* words, int64_t index) {
  uint32_t word;
  std::memcpy(&word, words + 4 * index, 4);
  if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap32(word);
  return word;
}

/// The eight nibbles of a word as bytes, the lowest first.
uint64_t spread_nibbles(uint32_t word) {
  uint64_t x = word;
  x = (x | x << 16) & 0x0000ffff0000ffffu;
  x = (x | x << 8) & 0x00ff00ff00ff00ffu;
  return (x | x << 4) & 0x0f0f0f0f0f0f0f0fu;
}

/// The fewest words that hold whole numbers only.
struct Unit {
  int bits, words, numbers;
  explicit Unit(WordPacking packing) : bits(packing.bits), words(1), numbers(32 / packing.bits) {
    if (packing.is_dense && 32 % bits != 0) words = bits, numbers = 32;
  }
  uint8_t number(std::span<const uint32_t> from, int i) const {
    int position = i * bits, word = position / 32, shift = position % 32;
    uint64_t value = from[static_cast<size_t>(word)];
    if (shift + bits > 32) value |= uint64_t{from[static_cast<size_t>(word) + 1]} << 32;
    return static_cast<uint8_t>(value >> shift & ((1u << bits) - 1));
  }
};

/// Writes the numbers of a unit.
void unpack(const Unit& unit, std::span<const uint32_t> words, uint8_t* out, int count) {
  uint64_t bytes = words[0];
  if (unit.bits == 4) bytes = spread_nibbles(words[0]);
  if (unit.bits == 4 || unit.bits == 8) {
    for (int i = 0; i < count; ++i) out[i] = static_cast<uint8_t>(bytes >> (8 * i));
    return;
  }
  for (int i = 0; i < count; ++i) out[i] = unit.number(words, i);
}

void unpack_eight(uint32_t word, uint8_t* out) {
  uint64_t bytes = spread_nibbles(word);
  if constexpr (std::endian::native == std::endian::big) bytes = __builtin_bswap64(bytes);
  std::memcpy(out, &bytes, 8);
}

class AlongRows final : public CodePlane {
 public:
  AlongRows(Tensor words, WordPacking packing, WordLayout layout) : words_(std::move(words)), unit_(packing), layout_(layout) {}

  void read(const Window& window, std::span<uint8_t> out) const override {
    // Lines of neighbours in memory are read together, a unit of each at a time.
    int64_t lines = layout_.line_step == 1 ? window.rows : 1;
    for (int64_t row = 0; row < window.rows; row += lines)
      read_lines({window.row + row, lines, window.column, window.columns}, out.data() + row * window.columns);
  }

 private:
  void read_lines(const Window& window, uint8_t* out) const {
    int64_t first = window.column / unit_.numbers, skipped = window.column % unit_.numbers;
    for (int64_t done = -skipped, unit = first; done < window.columns; done += unit_.numbers, ++unit) {
      bool is_whole = unit_.bits == 4 && done >= 0 && done + 8 <= window.columns;
      for (int64_t line = 0; line < window.rows; ++line) {
        uint8_t* to = out + line * window.columns;
        int64_t at = unit * unit_.words * layout_.word_step + (window.row + line) * layout_.line_step;
        if (is_whole)
          unpack_eight(word_at(words_.data(), at), to + done);
        else
          read_unit(at, done, window.columns, to);
      }
    }
  }

  /// A unit that begins at column `begin` and of which only columns [0, columns) are wanted.
  void read_unit(int64_t at, int64_t begin, int64_t columns, uint8_t* out) const {
    std::array<uint32_t, 9> words{};
    std::array<uint8_t, 32> numbers;
    for (int i = 0; i < unit_.words; ++i) words[static_cast<size_t>(i)] = word_at(words_.data(), at + i * layout_.word_step);
    unpack(unit_, words, numbers.data(), unit_.numbers);
    int64_t from = std::max<int64_t>(0, -begin), to = std::min<int64_t>(unit_.numbers, columns - begin);
    std::copy(numbers.begin() + from, numbers.begin() + to, out + begin + from);
  }

  Tensor words_;
  Unit unit_;
  WordLayout layout_;
};

class AlongColumns final : public CodePlane {
 public:
  AlongColumns(Tensor words, WordPacking packing, WordLayout layout, const NibbleOrder& order)
      : words_(std::move(words)), unit_(packing), layout_(layout), order_(order) {}

  void read(const Window& window, std::span<uint8_t> out) const override {
    constexpr int64_t kColumns = 1024;
    for (int64_t begin = 0; begin < window.columns; begin += kColumns) {
      int64_t columns = std::min(kColumns, window.columns - begin);
      for (int64_t row = window.row; row < window.row + window.rows;) {
        int64_t end = std::min(window.row + window.rows, (row / unit_.numbers + 1) * unit_.numbers);
        uint8_t* to = out.data() + (row - window.row) * window.columns + begin;
        read_unit(row, end - row, window.column + begin, columns, to, window.columns);
        row = end;
      }
    }
  }

 private:
  /// Rows of one unit. The words are gathered first, so that the loops over columns that follow are dense.
  void read_unit(int64_t row, int64_t rows, int64_t column, int64_t columns, uint8_t* out, int64_t out_step) const {
    std::vector<uint32_t> words(static_cast<size_t>(columns) * static_cast<size_t>(unit_.words));
    int64_t first = row / unit_.numbers * unit_.words * layout_.word_step;
    for (int w = 0; w < unit_.words; ++w)
      for (int64_t c = 0; c < columns; ++c)
        words[static_cast<size_t>(w * columns + c)] =
            word_at(words_.data(), first + w * layout_.word_step + (column + c) * layout_.line_step);
    for (int64_t r = 0; r < rows; ++r) {
      auto i = static_cast<int>((row + r) % unit_.numbers);
      extract(words, unit_.bits == 4 ? order_[static_cast<size_t>(i)] : i, columns, out + r * out_step);
    }
  }

  /// Number `i` of the unit of every column.
  void extract(const std::vector<uint32_t>& words, int i, int64_t columns, uint8_t* out) const {
    int position = i * unit_.bits, shift = position % 32;
    auto mask = (1u << unit_.bits) - 1;
    const uint32_t* low = words.data() + position / 32 * columns;
    if (shift + unit_.bits <= 32) {
      for (int64_t c = 0; c < columns; ++c) out[c] = static_cast<uint8_t>(low[c] >> shift & mask);
      return;
    }
    const uint32_t* high = low + columns;
    for (int64_t c = 0; c < columns; ++c) out[c] = static_cast<uint8_t>((low[c] >> shift | high[c] << (32 - shift)) & mask);
  }

  Tensor words_;
  Unit unit_;
  WordLayout layout_;
  NibbleOrder order_;
};

class Bytes final : public CodePlane {
 public:
  Bytes(Tensor bytes, int64_t columns, uint8_t flip) : bytes_(std::move(bytes)), columns_(columns), flip_(flip) {}
  void read(const Window& window, std::span<uint8_t> out) const override {
    for (int64_t row = 0; row < window.rows; ++row) {
      const std::byte* from = bytes_.data() + (window.row + row) * columns_ + window.column;
      uint8_t* to = out.data() + row * window.columns;
      for (int64_t i = 0; i < window.columns; ++i) to[i] = std::to_integer<uint8_t>(from[i]) ^ flip_;
    }
  }

 private:
  Tensor bytes_;
  int64_t columns_;
  uint8_t flip_;
};

class Nibbles final : public CodePlane {
 public:
  Nibbles(Tensor bytes, int64_t columns, FirstNibble first)
      : bytes_(std::move(bytes)), columns_(columns), shifts_{first == FirstNibble::low ? 0 : 4, first == FirstNibble::low ? 4 : 0} {}
  void read(const Window& window, std::span<uint8_t> out) const override {
    for (int64_t row = 0; row < window.rows; ++row) {
      const std::byte* from = bytes_.data() + ((window.row + row) * columns_ + window.column) / 2;
      uint8_t* to = out.data() + row * window.columns;
      for (int64_t i = 0; i < window.columns; ++i) to[i] = std::to_integer<uint8_t>(from[i / 2]) >> shifts_[i % 2] & 15;
    }
  }

 private:
  Tensor bytes_;
  int64_t columns_;
  std::array<int, 2> shifts_;
};

class Plus final : public CodePlane {
 public:
  Plus(std::unique_ptr<CodePlane> plane, uint8_t addend, int bits)
      : plane_(std::move(plane)), addend_(addend), mask_(static_cast<uint8_t>((1 << bits) - 1)) {}
  void read(const Window& window, std::span<uint8_t> out) const override {
    plane_->read(window, out);
    for (uint8_t& value : out) value = static_cast<uint8_t>(value + addend_) & mask_;
  }

 private:
  std::unique_ptr<CodePlane> plane_;
  uint8_t addend_, mask_;
};

}  // namespace

std::unique_ptr<CodePlane> plane_packed_along_rows(Tensor words, WordPacking packing, WordLayout layout) {
  return std::make_unique<AlongRows>(std::move(words), packing, layout);
}

std::unique_ptr<CodePlane> plane_packed_along_columns(Tensor words, WordPacking packing, WordLayout layout, const NibbleOrder& order) {
  return std::make_unique<AlongColumns>(std::move(words), packing, layout, order);
}

std::unique_ptr<CodePlane> plane_of_bytes(Tensor bytes, int64_t columns, uint8_t flip) {
  return std::make_unique<Bytes>(std::move(bytes), columns, flip);
}

std::unique_ptr<CodePlane> plane_of_nibbles(Tensor bytes, int64_t columns, FirstNibble first) {
  return std::make_unique<Nibbles>(std::move(bytes), columns, first);
}

std::unique_ptr<CodePlane> plane_plus(std::unique_ptr<CodePlane> plane, uint8_t addend, int bits) {
  return std::make_unique<Plus>(std::move(plane), addend, bits);
}

}  // namespace nibble
