#include <algorithm>
#include <limits>
#include <numeric>

#include "base/fail.hpp"
#include "checkpoint/safetensors_writer.hpp"
#include "nibble/evaluate.hpp"
#include "pipeline/language_model.hpp"
#include "pipeline/model_loader.hpp"

namespace nibble {

namespace {

/// Rows of equal length: ids, and 1 where there is a token rather than padding.
struct PaddedRows {
  int64_t rows = 0, length = 0;
  std::vector<int64_t> ids, mask, positions;
};

PaddedRows pad_left(const std::vector<std::vector<int64_t>>& rows, int64_t pad_id) {
  PaddedRows padded;
  padded.rows = static_cast<int64_t>(rows.size());
  for (const auto& row : rows) padded.length = std::max(padded.length, static_cast<int64_t>(row.size()));
  if (padded.length == 0) fail(ErrorKind::invalid_argument, "there are no tokens to run");
  for (const auto& row : rows) {
    if (row.empty()) fail(ErrorKind::invalid_argument, "a row of tokens is empty");
    for (int64_t id : row)
      if (id < 0 || id > std::numeric_limits<int32_t>::max()) fail(ErrorKind::invalid_argument, "{} is not a token id", id);
    size_t padding = static_cast<size_t>(padded.length) - row.size();
    padded.ids.insert(padded.ids.end(), padding, pad_id);
    padded.ids.insert(padded.ids.end(), row.begin(), row.end());
    padded.mask.insert(padded.mask.end(), padding, 0);
    padded.mask.insert(padded.mask.end(), row.size(), 1);
    padded.positions.insert(padded.positions.end(), padding, 1);  // what transformers gives padding
    for (size_t i = 0; i < row.size(); ++i) padded.positions.push_back(static_cast<int64_t>(i));
  }
  return padded;
}

/// Columns [begin, end) of a matrix [rows, length].
Tensor columns(const std::vector<int64_t>& matrix, int64_t rows, int64_t length, int64_t begin, int64_t end) {
  std::vector<int64_t> values;
  for (int64_t r = 0; r < rows; ++r) values.insert(values.end(), matrix.begin() + r * length + begin, matrix.begin() + r * length + end);
  return Tensor::from<int64_t>({rows, end - begin}, values);
}

/// Writes chunk logits [rows, n, vocab] into columns [begin, begin+n) of out [rows, length, vocab], padding left as zeros.
void place(const Tensor& chunk, const PaddedRows& padded, int64_t begin, Tensor& out) {
  int64_t count = chunk.shape()[1], vocab = chunk.shape()[2];
  auto from = chunk.as<float>();
  auto to = out.as_mutable<float>();
  for (int64_t r = 0; r < padded.rows; ++r)
    for (int64_t i = 0; i < count; ++i) {
      int64_t column = begin + i;
      if (!padded.mask[static_cast<size_t>(r * padded.length + column)]) continue;
      std::copy_n(from.begin() + (r * count + i) * vocab, vocab, to.begin() + (r * padded.length + column) * vocab);
    }
}

}  // namespace

LanguageModel::LanguageModel(const std::filesystem::path& directory, const std::string& device, const Properties& properties,
                             std::shared_ptr<Context> context)
    : impl_(std::make_unique<Impl>()) {
  impl_->context = context ? std::move(context) : std::make_shared<Context>();
  impl_->model = load_model(directory, device, properties, *impl_->context);
  impl_->request = impl_->model->create_request();
}

LanguageModel::LanguageModel(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LanguageModel::~LanguageModel() = default;
LanguageModel::LanguageModel(LanguageModel&&) noexcept = default;

LanguageModel make_language_model(Graph graph, const Properties& properties, Context& context) {
  auto impl = std::make_unique<LanguageModel::Impl>();
  impl->model = find_device({}).compile(std::move(graph), properties, context);
  impl->request = impl->model->create_request();
  return LanguageModel(std::move(impl));
}

std::string LanguageModel::device() const { return std::string(impl_->model->device_name()); }

Tensor LanguageModel::logits(const std::vector<std::vector<int64_t>>& rows, const std::vector<int64_t>& chunks, int64_t pad_id) {
  PaddedRows padded = pad_left(rows, pad_id);
  std::vector<int64_t> steps = chunks.empty() ? std::vector<int64_t>{padded.length} : chunks;
  bool positive = std::all_of(steps.begin(), steps.end(), [](int64_t n) { return n > 0; });
  if (!positive || std::accumulate(steps.begin(), steps.end(), int64_t{0}) != padded.length)
    fail(ErrorKind::invalid_argument, "chunks must be positive and add up to the {} tokens of a row", padded.length);

  InferRequest& request = *impl_->request;
  request.reset_state();
  std::vector<int32_t> beam_idx(rows.size());
  std::iota(beam_idx.begin(), beam_idx.end(), 0);
  Tensor out;
  int64_t begin = 0;
  for (int64_t step : steps) {
    request.set_input("input_ids", columns(padded.ids, padded.rows, padded.length, begin, begin + step));
    if (impl_->model->has_input("attention_mask"))
      request.set_input("attention_mask", columns(padded.mask, padded.rows, padded.length, 0, begin + step));
    if (impl_->model->has_input("position_ids"))
      request.set_input("position_ids", columns(padded.positions, padded.rows, padded.length, begin, begin + step));
    if (impl_->model->has_input("beam_idx")) request.set_input("beam_idx", Tensor::from<int32_t>({padded.rows}, beam_idx));
    request.infer();
    Tensor chunk = request.output("logits");
    if (!out) out = Tensor(ElementType::f32, {padded.rows, padded.length, chunk.shape()[2]});
    place(chunk, padded, begin, out);
    begin += step;
  }
  return out;
}

void save_safetensors(const std::filesystem::path& path, const std::map<std::string, Tensor>& tensors) { write_safetensors(path, tensors); }

}  // namespace nibble
