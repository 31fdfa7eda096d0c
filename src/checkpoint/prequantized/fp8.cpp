// FP8 of transformers (also DeepSeek's): X.weight f8e4m3 [out, in] and X.weight_scale_inv f32 [ceil(out / 128), ceil(in / 128)], which
// multiplies despite its name; or one scale for the tensor. FBGEMM's: X.weight_scale [out, 1].
#include "base/fail.hpp"
#include "checkpoint/prequantized/formats.hpp"

namespace nibble {

namespace {

BlockSize read_block_size(const QuantizationConfig& config) {
  const nlohmann::json* size = config.part("weight_block_size");
  if (!size) return {};
  bool is_pair = size->is_array() && size->size() == 2 && (*size)[0].is_number_integer() && (*size)[1].is_number_integer();
  BlockSize blocks;
  if (is_pair) blocks = {(*size)[0].get<int64_t>(), (*size)[1].get<int64_t>()};
  constexpr int64_t kLimit = int64_t{1} << 31;
  if (blocks.rows < 1 || blocks.columns < 1 || blocks.rows > kLimit || blocks.columns > kLimit)
    fail(ErrorKind::corrupt, "{}: \"weight_block_size\" should be two positive numbers, it is {}", config.where(),
         size->dump().substr(0, 80));
  return blocks;
}

}  // namespace

void read_fp8(LayerReader& reader) {
  const QuantizationConfig& config = reader.config();
  BlockSize blocks = read_block_size(config);
  if (std::string scheme = config.text("activation_scheme", ""); !scheme.empty())
    reader.note(
        fmt::format("the checkpoint's authors round activations to 8 bits too (activation_scheme \"{}\"): only its weights are", scheme));
  for (std::string_view suffix : {".weight_scale_inv", ".weight_scale"})
    for (const std::string& layer : reader.layers(suffix)) {
      reader.begin(layer);
      GroupedParts parts = read_byte_layer(reader, suffix, suffix == ".weight_scale" ? BlockSize{} : blocks);
      reader.leave(".input_scale");
      reader.leave(".activation_scale");
      reader.leave(".input_scale_ub");
      reader.add(layer + ".weight", make_grouped_matrix(std::move(parts)));
    }
}

}  // namespace nibble
