// compressed-tensors (llm-compressor, vLLM). What a layer is can be told from its tensors:
//   X.weight_packed i32       pack-quantized: integers of 1 to 8 bits, with an offset of half their range, packed along the inputs;
//                             X.weight_shape, X.weight_scale [out, groups], X.weight_zero_point packed along the outputs, X.weight_g_idx
//                             [in]
//   X.weight_packed u8        f4e2m1, two in a byte; X.weight_scale f8e4m3 with X.weight_global_scale (NVFP4), or u8 exponents (MXFP4)
//   X.weight i8, f8e4m3       int-, float- and naive-quantized, mxfp8-quantized: X.weight_scale, X.weight_zero_point
#include <algorithm>
#include <array>

#include "base/fail.hpp"
#include "checkpoint/prequantized/formats.hpp"
#include "checkpoint/prequantized/mx_scales.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

constexpr std::array<std::string_view, 9> kFormats{"dense",           "pack-quantized",  "int-quantized",        "float-quantized",
                                                   "naive-quantized", "mixed-precision", "nvfp4-pack-quantized", "mxfp4-pack-quantized",
                                                   "mxfp8-quantized"};

/// What the groups of layers of the configuration say of weights.
struct Scheme {
  std::vector<int64_t> integer_bits;
  int64_t group_size = -1;
  BlockSize blocks;
};

class CompressedTensorsReader {
 public:
  explicit CompressedTensorsReader(LayerReader& reader) : reader_(reader), config_(reader.config()) {
    check_format(config_.text("format", "dense"));
    if (const auto* sparsity = config_.part("sparsity_config")) check_format(text_of(*sparsity, "format", "dense"));
    if (config_.part("transform_config"))
      fail(ErrorKind::unsupported,
           "{}: weights that are rotated at run time (transform_config) are not supported; use the checkpoint they were made from",
           config_.where());
    if (const auto* groups = config_.part("config_groups"))
      for (const auto& [name, group] : groups->items()) read_group(group);
  }

  void run() {
    for (const std::string& layer : reader_.layers(".weight_packed")) {
      reader_.begin(layer);
      bool is_float = reader_.info(".weight_packed").type == ElementType::u8;
      add(is_float ? read_f4() : read_packed());
    }
    for (const std::string& layer : reader_.layers(".weight_scale")) {
      reader_.begin(layer);
      if (!reader_.has(".weight_packed")) add(read_bytes());
    }
  }

 private:
  // The configuration.

  void check_format(const std::string& format) const {
    if (std::find(kFormats.begin(), kFormats.end(), format) != kFormats.end()) return;
    fail(ErrorKind::unsupported,
         "{}: compressed-tensors in the format \"{}\" are not supported (supported: {}); use the checkpoint they were made from",
         config_.where(), format, fmt::join(kFormats, ", "));
  }

  static std::string text_of(const nlohmann::json& object, const char* key, std::string fallback) {
    if (!object.is_object()) return fallback;
    auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : fallback;
  }

  /// A size in a reasonable range; the fallback for anything else.
  static int64_t integer_of(const nlohmann::json& value, int64_t fallback) {
    constexpr int64_t kLimit = int64_t{1} << 31;
    if (!value.is_number_integer() || value > kLimit || value < 1) return fallback;
    return value.get<int64_t>();
  }
  static int64_t integer_of(const nlohmann::json& object, const char* key, int64_t fallback) {
    auto found = object.find(key);
    return found == object.end() ? fallback : integer_of(*found, fallback);
  }

  void read_group(const nlohmann::json& group) {
    if (!group.is_object()) return;  // the name of a preset
    check_format(text_of(group, "format", "dense"));
    auto weights = group.find("weights");
    if (auto inputs = group.find("input_activations"); inputs != group.end() && !inputs->is_null() && !noted_inputs_) {
      reader_.note("the checkpoint's authors round activations too (input_activations): only its weights are");
      noted_inputs_ = true;
    }
    if (weights == group.end() || !weights->is_object()) return;
    if (text_of(*weights, "type", "int") == "int") scheme_.integer_bits.push_back(integer_of(*weights, "num_bits", 8));
    if (int64_t size = integer_of(*weights, "group_size", -1); size > 0) scheme_.group_size = size;
    auto block = weights->find("block_structure");
    if (text_of(*weights, "strategy", "") == "block" && block != weights->end() && block->is_array() && block->size() == 2)
      scheme_.blocks = {integer_of((*block)[0], 0), integer_of((*block)[1], 0)};
  }

  // Layers.

  void add(GroupedParts parts) {
    for (const char* unused : {".input_scale", ".input_zero_point", ".input_global_scale", ".output_scale", ".output_zero_point"})
      reader_.leave(unused);
    reader_.add(reader_.layer() + ".weight", make_grouped_matrix(std::move(parts)));
  }

  GroupedParts read_bytes() {
    BlockSize blocks = scheme_.blocks;
    if (blocks.rows < 1 || blocks.columns < 1 || !has_block_scales(blocks)) blocks = {1, std::max<int64_t>(scheme_.group_size, 0)};
    GroupedParts parts = read_byte_layer(reader_, ".weight_scale", blocks);
    if (reader_.has(".weight_zero_point") && parts.codes == ElementType::u8) {
      Tensor zeros = reader_.tensor(".weight_zero_point", {ElementType::i8}, reader_.info(".weight_zero_point").shape.size());
      set_plain_zero_points(parts, zeros, 0x80);
    }
    reader_.leave(".weight_zero_point");
    return parts;
  }

  bool has_block_scales(BlockSize blocks) const {
    if (!reader_.has(".weight") || reader_.info(".weight").shape.size() != 2) return false;
    const Shape shape = reader_.info(".weight").shape;
    return reader_.info(".weight_scale").shape ==
           Shape{(shape[0] + blocks.rows - 1) / blocks.rows, (shape[1] + blocks.columns - 1) / blocks.columns};
  }

  /// i8, one for each scale.
  void set_plain_zero_points(GroupedParts& parts, const Tensor& zeros, uint8_t flip) {
    int64_t rows = parts.shape[0], count = parts.groups.count;
    if (zeros.size() == 1) {
      parts.zero = static_cast<uint8_t>(to_int64s(zeros)[0]) ^ flip;
      return;
    }
    if (static_cast<int64_t>(zeros.size()) != rows * count) reader_.require(".weight_zero_point", zeros, {rows, count});
    parts.zero_points = plane_of_bytes(zeros, count, flip);
  }

  GroupedParts read_packed() {
    Tensor words = reader_.tensor(".weight_packed", {ElementType::i32}, 2);
    std::vector<int64_t> shape = to_int64s(reader_.tensor(".weight_shape", {ElementType::i64, ElementType::i32}, 1));
    int64_t line = words.shape()[1];
    if (shape.size() != 2 || shape[0] != words.shape()[0] || shape[1] < 1 || shape[1] > 32 * line)
      fail(ErrorKind::corrupt, "{}: weight_shape does not fit the packed weights {}", reader_.where(), to_string(words.shape()));
    int64_t rows = shape[0], columns = shape[1];
    WordPacking packing = packing_of(columns, line);
    GroupedParts parts;
    parts.shape = shape;
    parts.bits = packing.bits;
    parts.codes = packing.bits <= 4 ? ElementType::u4 : ElementType::u8;
    parts.zero = 1 << (packing.bits - 1);
    parts.plane = plane_packed_along_rows(words, packing, {1, line});
    Tensor scales =
        reader_.tensor(".weight_scale", kScaleTypes, reader_.has(".weight_scale") ? reader_.info(".weight_scale").shape.size() : 2);
    set_scales(parts, scales);
    if (reader_.has(".weight_zero_point")) set_zero_points(parts, packing, rows);
    return parts;
  }

  /// The configured width that so many words can hold, packed densely or (as older versions did) with unused bits in every word.
  WordPacking packing_of(int64_t columns, int64_t words) {
    for (int64_t bits : scheme_.integer_bits) {
      if (bits < 1 || bits > 8) continue;
      int64_t per_word = 32 / bits;
      if ((columns * bits + 31) / 32 == words) return {static_cast<int>(bits), true};
      if ((columns + per_word - 1) / per_word == words) return {static_cast<int>(bits), false};
    }
    fail(ErrorKind::corrupt, "{}: {} words for {} inputs are none of the widths in {}", reader_.where(), words, columns, config_.where());
  }

  void set_scales(GroupedParts& parts, const Tensor& scales) {
    int64_t rows = parts.shape[0], columns = parts.shape[1];
    bool is_single = scales.size() == 1;
    int64_t count = is_single || scales.rank() == 1 ? 1 : scales.shape().back();
    if (!is_single && scales.size() != static_cast<size_t>(rows * count)) reader_.require(".weight_scale", scales, {rows, count});
    parts.scale_type = scale_type_of(scales);
    parts.scales = group_values(scales, {is_single ? 0 : count, 1, 1});
    std::vector<int32_t> index = read_index(columns);
    parts.groups = index.empty() ? groups_of_count(reader_, columns, count, count == 1 ? columns : scheme_.group_size)
                                 : groups_by_index(std::move(index), count, reader_.where());
  }

  /// The group of each input; -1 everywhere: none was set.
  std::vector<int32_t> read_index(int64_t columns) {
    if (!reader_.has(".weight_g_idx")) return {};
    Tensor index = reader_.tensor(".weight_g_idx", {ElementType::i32, ElementType::i64}, 1);
    reader_.require(".weight_g_idx", index, {columns});
    std::vector<int64_t> values = to_int64s(index);
    if (std::find(values.begin(), values.end(), -1) != values.end()) return {};
    std::vector<int32_t> groups;
    for (int64_t value : values) groups.push_back(static_cast<int32_t>(std::clamp<int64_t>(value, -1, INT32_MAX)));
    return groups;
  }

  void set_zero_points(GroupedParts& parts, WordPacking packing, int64_t rows) {
    int64_t count = parts.groups.count, per_word = 32 / packing.bits;
    if (reader_.info(".weight_zero_point").type == ElementType::i8) {
      Tensor zeros = reader_.tensor(".weight_zero_point", {ElementType::i8}, reader_.info(".weight_zero_point").shape.size());
      set_plain_zero_points(parts, zeros, 0);
      auto half = static_cast<uint8_t>(1 << (packing.bits - 1));
      if (parts.zero_points)
        parts.zero_points = plane_plus(plane_of_bytes(zeros, count), half, packing.bits);
      else
        parts.zero = (parts.zero + half) & ((1 << packing.bits) - 1);
      return;
    }
    Tensor zeros = reader_.tensor(".weight_zero_point", {ElementType::i32}, 2);
    int64_t words = packing.is_dense ? (rows * packing.bits + 31) / 32 : (rows + per_word - 1) / per_word;
    reader_.require(".weight_zero_point", zeros, {words, count});
    parts.zero_points = plane_packed_along_columns(zeros, packing, {count, 1});
  }

  GroupedParts read_f4() {
    Tensor codes = reader_.tensor(".weight_packed", {ElementType::u8}, 2);
    int64_t rows = codes.shape()[0], columns = 2 * codes.shape()[1];
    GroupedParts parts;
    parts.shape = {rows, columns};
    parts.codes = ElementType::f4e2m1;
    parts.plane = plane_of_nibbles(codes, columns, FirstNibble::low);
    Tensor scales = reader_.tensor(".weight_scale", {ElementType::u8, ElementType::f8e8m0, ElementType::f8e4m3}, 2);
    bool is_mx = scales.type() != ElementType::f8e4m3;
    int64_t group = is_mx ? 32 : 16;
    if (columns % group != 0) fail(ErrorKind::corrupt, "{}: {} inputs are not in groups of {}", reader_.where(), columns, group);
    reader_.require(".weight_scale", scales, {rows, columns / group});
    if (is_mx) {
      set_mx_scales(parts, scales);
      return parts;
    }
    float global = to_floats(reader_.single(".weight_global_scale", {ElementType::f32}))[0];
    parts.scale_type = ElementType::f32;
    parts.scales = group_values(scales, {columns / group, 1, 1}, global);
    parts.groups = groups_of_size(columns, group);
    return parts;
  }

  LayerReader& reader_;
  const QuantizationConfig& config_;
  Scheme scheme_;
  bool noted_inputs_ = false;
};

}  // namespace

void read_compressed_tensors(LayerReader& reader) { CompressedTensorsReader(reader).run(); }

}  // namespace nibble
