// AWQ (AutoAWQ): X.scales [groups, out], X.qzeros i32 and X.qweight i32 of 4 bits, in one of two layouts. gemm: qweight [in, out / 8] and
// qzeros [groups, out / 8], packed along the outputs in the order 0 2 4 6 1 3 5 7. gemv: everything by rows of outputs, packed along the
// inputs in order, with as many groups as make whole words.
#include "base/fail.hpp"
#include "checkpoint/prequantized/formats.hpp"

namespace nibble {

namespace {

// Output 8u + i is this number of its word: the inverse of the order 0 2 4 6 1 3 5 7 in which words hold outputs.
constexpr NibbleOrder kAwqOrder{0, 4, 1, 5, 2, 6, 3, 7};

class AwqReader {
 public:
  explicit AwqReader(LayerReader& reader) : reader_(reader), config_(reader.config()) {
    int64_t bits = config_.integer("bits", config_.integer("w_bit", 4));
    std::string version = config_.text("version", "gemm"), backend = config_.text("backend", "autoawq");
    for (char& c : version) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    is_gemv_ = version == "gemv";
    if (bits != 4 || backend == "llm-awq" || (!is_gemv_ && version != "gemm" && version != "exllama" && version != "ipex"))
      fail(ErrorKind::unsupported,
           "{}: AWQ weights of {} bits, version \"{}\", backend \"{}\" are not supported (supported: AutoAWQ's 4 bits, versions gemm and "
           "gemv); use such a checkpoint, or the one it was made from",
           config_.where(), bits, version, backend);
  }

  void run() {
    for (const std::string& layer : reader_.layers(".qweight")) {
      reader_.begin(layer);
      Tensor words = reader_.tensor(".qweight", {ElementType::i32}, 2), scales = reader_.tensor(".scales", kScaleTypes, 2);
      GroupedParts parts = is_gemv_ ? read_gemv(words, scales) : read_gemm(words, scales);
      parts.scale_type = scale_type_of(scales);
      if (!parts.zero_points) parts.zero = 8;
      reader_.add(layer + ".weight", make_grouped_matrix(std::move(parts)));
    }
  }

 private:
  GroupedParts read_gemm(const Tensor& words, const Tensor& scales) {
    int64_t columns = words.shape()[0], units = words.shape()[1], rows = 8 * units, count = scales.shape()[0];
    reader_.require(".scales", scales, {count, rows});
    GroupedParts parts;
    parts.shape = {rows, columns};
    parts.plane = plane_packed_along_columns(words, {}, {1, units}, kAwqOrder);
    parts.scales = group_values(scales, {1, rows, 1});
    if (has_zero_points()) {
      Tensor zeros = reader_.tensor(".qzeros", {ElementType::i32}, 2);
      reader_.require(".qzeros", zeros, {count, units});
      parts.zero_points = plane_packed_along_columns(zeros, {}, {1, units}, kAwqOrder);
    }
    parts.groups = groups_of_count(reader_, columns, count, configured_group_size(columns));
    return parts;
  }

  GroupedParts read_gemv(const Tensor& words, const Tensor& scales) {
    int64_t rows = words.shape()[0], columns = 8 * words.shape()[1];
    int64_t size = configured_group_size(columns), count = (columns + size - 1) / size, stored = scales.shape()[1];
    if (stored < count) reader_.require(".scales", scales, {rows, count});
    reader_.require(".scales", scales, {rows, stored});
    GroupedParts parts;
    parts.shape = {rows, columns};
    parts.plane = plane_packed_along_rows(words, {}, {1, words.shape()[1]});
    parts.scales = group_values(scales, {stored, 1, 1});
    if (has_zero_points()) {
      Tensor zeros = reader_.tensor(".qzeros", {ElementType::i32}, 2);
      int64_t units = zeros.shape()[1];
      reader_.require(".qzeros", zeros, {rows, std::max(units, (count + 7) / 8)});
      parts.zero_points = plane_packed_along_rows(zeros, {}, {1, units});
    }
    parts.groups = groups_of_size(columns, size);
    return parts;
  }

  /// Without zero points codes have an offset of 8.
  bool has_zero_points() const { return reader_.has(".qzeros") || config_.flag("zero_point", true); }

  int64_t configured_group_size(int64_t columns) const {
    int64_t size = config_.integer("group_size", config_.integer("q_group_size", 128));
    return size < 1 ? columns : size;
  }

  LayerReader& reader_;
  const QuantizationConfig& config_;
  bool is_gemv_ = false;
};

}  // namespace

void read_awq(LayerReader& reader) { AwqReader(reader).run(); }

}  // namespace nibble
