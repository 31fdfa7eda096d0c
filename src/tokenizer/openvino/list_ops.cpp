#include <algorithm>

#include "base/fail.hpp"
#include "tensor/convert.hpp"
#include "tokenizer/openvino/string_op.hpp"
#include "tokenizer/openvino/string_tensors.hpp"

namespace nibble::tokenizer {
namespace {

std::vector<int32_t> copy_of(const Tensor& tensor) {
  const auto values = tensor.as<int32_t>();
  return {values.begin(), values.end()};
}

/// One list of ids, or two that share a length, cut to a length.
class Truncate : public StringOp {
 public:
  explicit Truncate(bool has_mode) : has_mode_(has_mode) {}

  void run(std::span<const Tensor> inputs, std::vector<Tensor>& outputs, const RunOptions&) const override {
    const size_t rest = inputs.size() - (has_mode_ ? 3 : 2), count = outputs.size() / 3;
    const int64_t longest = std::max<int64_t>(one_integer(inputs[rest]), 0);
    const std::string_view side = bytes_of(inputs[rest + 1]), mode = has_mode_ ? bytes_of(inputs[rest + 2]) : "longest_first";
    if (side != "left" && side != "right") fail(ErrorKind::unsupported, "the side \"{}\" is not known", side);
    std::vector<Range> ranges;
    for (size_t i = 0; i < count; ++i) ranges.push_back({copy_of(inputs[3 * i]), copy_of(inputs[3 * i + 1])});
    for (const Range& range : ranges)
      if (range.begins.size() != ranges[0].begins.size() || range.ends.size() != range.begins.size())
        fail(ErrorKind::corrupt, "lists of different numbers");
    for (size_t row = 0; row < ranges[0].begins.size(); ++row) cut_row(ranges, row, longest, side == "left", mode);
    for (size_t i = 0; i < count; ++i) {
      outputs[3 * i] = to_tensor(ranges[i].begins);
      outputs[3 * i + 1] = to_tensor(ranges[i].ends);
      outputs[3 * i + 2] = inputs[3 * i + 2];
    }
  }

 private:
  struct Range {
    std::vector<int32_t> begins, ends;
    int64_t length(size_t row) const { return int64_t{ends[row]} - begins[row]; }
    void cut(size_t row, int64_t length, bool left) {
      length = std::min(std::max<int64_t>(length, 0), this->length(row));
      (left ? begins : ends)[row] = static_cast<int32_t>(left ? ends[row] - length : begins[row] + length);
    }
  };

  static void cut_row(std::vector<Range>& ranges, size_t row, int64_t longest, bool left, std::string_view mode) {
    if (ranges.size() == 1) return ranges[0].cut(row, longest, left);
    const int64_t first = ranges[0].length(row), second = ranges[1].length(row), half = longest / 2, odd = longest % 2;
    if (first + second <= longest) return;
    if (mode == "only_first") return ranges[0].cut(row, longest, left);
    if (mode == "only_second") return ranges[1].cut(row, longest, left);
    if (first >= half + odd && second <= half) return ranges[0].cut(row, longest - second, left);
    if (first < half + odd && second > half) return ranges[1].cut(row, longest - first, left);
    ranges[0].cut(row, half + (first >= second ? odd : 0), left);
    ranges[1].cut(row, half + (first < second ? odd : 0), left);
  }

  bool has_mode_;
};

/// Ids of texts and special tokens, one after the other; special tokens are what comes from constants.
class CombineSegments : public StringOp {
 public:
  explicit CombineSegments(std::vector<bool> is_special) : is_special_(std::move(is_special)) {}

  void run(std::span<const Tensor> inputs, std::vector<Tensor>& outputs, const RunOptions& options) const override {
    std::vector<Segment> segments;
    size_t rows = 0;
    Shape shape;
    for (size_t i = 0; i < is_special_.size(); ++i) {
      const auto ids = inputs[3 * i + 2].as<int32_t>();
      segments.push_back({ListsView(inputs, 3 * i, ids.size()), ids, !is_special_[i] || options.special_tokens});
      if (segments.back().lists.size() > rows || inputs[3 * i].rank() > 0) shape = inputs[3 * i].shape();
      rows = std::max(rows, segments.back().lists.size());
    }
    const std::vector<int64_t> type_ids = to_int64s(inputs.back());
    if (type_ids.size() != segments.size()) fail(ErrorKind::corrupt, "{} type ids for {} segments", type_ids.size(), segments.size());
    for (const Segment& segment : segments)
      if (segment.lists.size() != 1 && segment.lists.size() != rows)
        fail(ErrorKind::corrupt, "a segment of {} lists among others of {}", segment.lists.size(), rows);
    store(segments, type_ids, rows, shape, options.byte_limit, outputs);
  }

 private:
  struct Segment {
    ListsView lists;
    std::span<const int32_t> ids;
    bool is_shown;
    size_t row_of(size_t row) const { return lists.size() == 1 ? 0 : row; }
  };

  static void store(const std::vector<Segment>& segments, const std::vector<int64_t>& type_ids, size_t rows, const Shape& shape,
                    size_t limit, std::vector<Tensor>& outputs) {
    ListsBuilder lists;
    std::vector<int32_t> ids, types;
    for (size_t row = 0; row < rows; ++row) {
      for (size_t s = 0; s < segments.size(); ++s) {
        const Segment& segment = segments[s];
        const size_t begin = segment.lists.begin(segment.row_of(row)), end = segment.lists.end(segment.row_of(row));
        if (!segment.is_shown) continue;
        if (ids.size() + (end - begin) > limit) fail(ErrorKind::exhausted, "makes more than {} ids of this text", limit);
        ids.insert(ids.end(), segment.ids.begin() + static_cast<std::ptrdiff_t>(begin),
                   segment.ids.begin() + static_cast<std::ptrdiff_t>(end));
        types.insert(types.end(), end - begin, static_cast<int32_t>(type_ids[s]));
      }
      lists.end_list(ids.size());
    }
    for (size_t first : {size_t{0}, size_t{3}}) lists.store(shape, outputs, first);
    outputs[2] = to_tensor(ids);
    outputs[5] = to_tensor(types);
  }

  std::vector<bool> is_special_;
};

/// Lists as rows of one length, and a mask of what is not padding.
class RaggedToDense : public StringOp {
 public:
  explicit RaggedToDense(bool pads_right) : pads_right_(pads_right) {}

  void run(std::span<const Tensor> inputs, std::vector<Tensor>& outputs, const RunOptions& options) const override {
    const auto data = inputs[2].as<int32_t>();
    const ListsView lists(inputs, 0, data.size());
    const int64_t width = one_integer(inputs[3]);
    const auto padding = static_cast<int32_t>(one_integer(inputs[4]));
    const bool right = inputs.size() == 6 ? one_integer(inputs[5]) != 0 : pads_right_;
    const auto rows = static_cast<int64_t>(lists.size());
    if (width < 0 || (rows > 0 && width > static_cast<int64_t>(options.byte_limit) / rows))
      fail(ErrorKind::exhausted, "rows of {} ids, for a text that needs less", width);
    Shape shape = lists.shape();
    shape.push_back(width);
    Tensor dense(ElementType::i32, shape), mask(ElementType::boolean, shape);
    for (size_t row = 0; row < lists.size(); ++row) {
      const auto columns = static_cast<size_t>(width);
      const size_t length = std::min(lists.end(row) - lists.begin(row), columns), skipped = right ? 0 : columns - length;
      const auto cells = dense.as_mutable<int32_t>().subspan(row * columns, columns);
      const auto flags = mask.as_mutable<bool>().subspan(row * columns, columns);
      std::fill(cells.begin(), cells.end(), padding);
      std::copy_n(data.begin() + static_cast<std::ptrdiff_t>(lists.begin(row)), length,
                  cells.begin() + static_cast<std::ptrdiff_t>(skipped));
      std::fill_n(flags.begin() + static_cast<std::ptrdiff_t>(skipped), length, true);
    }
    outputs[0] = std::move(dense);
    outputs[1] = std::move(mask);
  }

 private:
  bool pads_right_;
};

}  // namespace

StringOpPtr make_truncate(const StringOpContext& context) {
  const size_t count = context.node.input_count();
  if (count != 5 && count != 6 && count != 8 && count != 9) fail(ErrorKind::corrupt, "has {} inputs, which Truncate does not take", count);
  return std::make_unique<Truncate>(count % 3 == 0);
}

StringOpPtr make_combine_segments(const StringOpContext& context) {
  std::vector<bool> is_special;
  for (size_t i = 0; i + 1 < context.node.input_count(); i += 3) is_special.push_back(context.is_constant(i + 2));
  return std::make_unique<CombineSegments>(std::move(is_special));
}

StringOpPtr make_ragged_to_dense(const StringOpContext& context) {
  return std::make_unique<RaggedToDense>(context.node.attributes().get_bool("pad_right", true));
}

}  // namespace nibble::tokenizer
