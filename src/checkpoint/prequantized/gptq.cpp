// GPTQ (AutoGPTQ, GPTQModel): X.qweight i32 [in * bits / 32, out], packed along the inputs; X.qzeros i32 [groups, out * bits / 32], packed
// along the outputs; X.scales [groups, out]; X.g_idx i32 [in], the group of each input.
#include "base/fail.hpp"
#include "checkpoint/prequantized/formats.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

bool is_known_width(int64_t bits) { return bits == 2 || bits == 3 || bits == 4 || bits == 8; }

class GptqReader {
 public:
  explicit GptqReader(LayerReader& reader) : reader_(reader), config_(reader.config()) {
    std::string format = config_.text("checkpoint_format", config_.text("format", "gptq"));
    if (config_.flag("is_marlin_format", false)) format = "marlin";
    if (config_.method() == "auto-round") format = "gptq";
    if (format != "gptq" && format != "gptq_v2")
      fail(ErrorKind::unsupported,
           "{}: GPTQ weights in the format \"{}\" are not supported (supported: gptq, gptq_v2); convert them with GPTQModel, or use the "
           "checkpoint they were made from",
           config_.where(), format);
    stored_minus_one_ = format == "gptq";
  }

  void run() {
    for (const std::string& layer : reader_.layers(".qweight")) {
      reader_.begin(layer);
      reader_.add(layer + ".weight", make_grouped_matrix(read_layer()));
    }
  }

 private:
  GroupedParts read_layer() {
    Tensor words = reader_.tensor(".qweight", {ElementType::i32}, 2);
    Tensor scales = reader_.tensor(".scales", kScaleTypes, 2);
    std::vector<int32_t> index = read_index();
    int64_t rows = words.shape()[1], count = scales.shape()[0];
    int64_t bits = index.empty() ? config_.integer("bits", 4) : 32 * words.shape()[0] / static_cast<int64_t>(index.size());
    int64_t columns = index.empty() && is_known_width(bits) ? 32 * words.shape()[0] / bits : static_cast<int64_t>(index.size());
    if (!is_known_width(bits) || columns * bits != 32 * words.shape()[0] || columns % 32 != 0 || rows * bits % 32 != 0)
      fail(ErrorKind::corrupt, "{}: {} words for {} inputs and {} outputs are no GPTQ weight of 2, 3, 4 or 8 bits", reader_.where(),
           to_string(words.shape()), columns, rows);
    reader_.require(".scales", scales, {count, rows});

    GroupedParts parts;
    parts.shape = {rows, columns};
    parts.codes = bits == 8 ? ElementType::u8 : ElementType::u4;
    parts.bits = static_cast<int>(bits);
    parts.plane = plane_packed_along_rows(words, {parts.bits, true}, {rows, 1});
    parts.scale_type = scale_type_of(scales);
    parts.scales = group_values(scales, {1, rows, 1});
    parts.zero_points = read_zero_points(count, rows, parts.bits);
    parts.groups = index.empty() ? groups_of_count(reader_, columns, count, config_.integer("group_size", -1))
                                 : groups_by_index(std::move(index), count, reader_.where());
    return parts;
  }

  std::vector<int32_t> read_index() {
    if (!reader_.has(".g_idx")) return {};
    if (element_count(reader_.info(".g_idx").shape) == 0) {
      reader_.leave(".g_idx");
      return {};
    }
    Tensor index = reader_.tensor(".g_idx", {ElementType::i32}, 1).aligned();
    auto values = index.as<int32_t>();
    return {values.begin(), values.end()};
  }

  std::unique_ptr<CodePlane> read_zero_points(int64_t count, int64_t rows, int bits) {
    Tensor zeros = reader_.tensor(".qzeros", {ElementType::i32}, 2);
    int64_t words = rows * bits / 32;
    reader_.require(".qzeros", zeros, {count, words});
    auto plane = plane_packed_along_columns(zeros, {bits, true}, {1, words});
    return stored_minus_one_ ? plane_plus(std::move(plane), 1, bits) : std::move(plane);
  }

  LayerReader& reader_;
  const QuantizationConfig& config_;
  bool stored_minus_one_ = true;
};

}  // namespace

void read_gptq(LayerReader& reader) { GptqReader(reader).run(); }

}  // namespace nibble
