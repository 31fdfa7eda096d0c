#include <algorithm>
#include <map>

#include "base/fail.hpp"
#include "device/cpu/cpu_model.hpp"
#include "tensor/convert.hpp"

namespace nibble::cpu {

namespace {

/// A row of the batch: its sequence in the runner and the mask of what it has seen.
struct Row {
  SequenceId sequence = 0;
  std::vector<int64_t> mask;
  int64_t length = 0;  // of the sequence: tokens whose mask is 1
};

class PagedRequest : public InferRequest {
 public:
  explicit PagedRequest(std::shared_ptr<const PagedModel> model) : model_(std::move(model)), runner_(make_paged_runner(model_)) {}

  void set_input(std::string_view name, Tensor tensor) override {
    const PortInfo& port = port_of(name);
    bool fits = tensor.type() == port.type && (!port.shape.rank_is_known() || port.shape.rank() == tensor.rank());
    for (size_t i = 0; fits && port.shape.rank_is_known() && i < tensor.rank(); ++i)
      fits = port.shape[i] == kDynamic || port.shape[i] == tensor.shape()[i];
    if (!fits)
      fail(ErrorKind::invalid_argument, "input '{}' takes {} of shape {}, not {} of shape {}", name, nibble::to_string(port.type),
           nibble::to_string(port.shape), nibble::to_string(tensor.type()), nibble::to_string(tensor.shape()));
    inputs_[std::string(name)] = tensor.aligned();
  }

  void infer() override {
    for (const PortInfo& port : model_->inputs)
      if (!inputs_.count(port.name)) fail(ErrorKind::invalid_argument, "input '{}' was not set", port.name);
    const Tensor& ids = inputs_.at("input_ids");
    std::vector<Row> rows = next_rows(ids.shape()[0]);
    try {
      run(ids, rows);
    } catch (...) {
      for (const Row& row : rows) runner_->release(row.sequence);
      throw;
    }
    for (const Row& row : rows_) runner_->release(row.sequence);
    rows_ = std::move(rows);
  }

  Tensor output(std::string_view name) const override {
    if (name != "logits") fail(ErrorKind::not_found, "the model has no input or output '{}'", name);
    if (!logits_) fail(ErrorKind::invalid_argument, "output '{}' is not there yet: run infer first", name);
    return logits_;
  }

  void reset_state() override {
    for (const Row& row : rows_) runner_->release(row.sequence);
    rows_.clear();
  }

 private:
  const PortInfo& port_of(std::string_view name) const {
    for (const PortInfo& port : model_->inputs)
      if (port.name == name) return port;
    fail(ErrorKind::not_found, "the model has no input or output '{}'", name);
  }

  bool has(const std::string& name) const { return inputs_.count(name) > 0; }

  /// The rows that this run continues, as beam_idx says, in sequences of their own.
  std::vector<Row> next_rows(int64_t count) {
    std::vector<Row> rows;
    std::vector<int64_t> beams = has("beam_idx") ? to_int64s(inputs_.at("beam_idx")) : std::vector<int64_t>{};
    for (int64_t r = 0; r < count; ++r) {
      Row row;
      if (!rows_.empty()) {
        int64_t from = beams.empty() ? r : r < static_cast<int64_t>(beams.size()) ? beams[static_cast<size_t>(r)] : -1;
        if (from < 0 || from >= static_cast<int64_t>(rows_.size()))
          fail(ErrorKind::invalid_argument, "beam_idx: row {} does not continue one of the {} rows of the state", r, rows_.size());
        row = rows_[static_cast<size_t>(from)];
      }
      row.sequence = next_sequence_++;
      if (row.length > 0)
        runner_->fork(rows_[static_cast<size_t>(beams.empty() ? r : beams[static_cast<size_t>(r)])].sequence, row.sequence);
      rows.push_back(std::move(row));
    }
    return rows;
  }

  void run(const Tensor& ids, std::vector<Row>& rows) {
    check_positions_shape(ids.shape());
    auto length = static_cast<size_t>(ids.shape()[1]);
    auto tokens = ids.as<int64_t>();
    std::vector<std::vector<int64_t>> kept(rows.size());
    std::vector<std::vector<size_t>> columns(rows.size());
    for (size_t r = 0; r < rows.size(); ++r) {
      std::vector<int64_t> fresh = fresh_mask(r, rows[r], length);
      for (size_t i = 0; i < length; ++i) {
        if (!fresh[i]) continue;
        check_position(r, i, rows[r].length + static_cast<int64_t>(kept[r].size()));
        kept[r].push_back(tokens[r * length + i]);
        columns[r].push_back(i);
      }
      rows[r].mask.insert(rows[r].mask.end(), fresh.begin(), fresh.end());
      rows[r].length += static_cast<int64_t>(kept[r].size());
    }
    forward(rows, kept, columns, length);
  }

  void forward(const std::vector<Row>& rows, const std::vector<std::vector<int64_t>>& kept, const std::vector<std::vector<size_t>>& columns,
               size_t length) {
    std::vector<TokenSpan> spans;
    for (size_t r = 0; r < rows.size(); ++r)
      if (!kept[r].empty()) spans.push_back({rows[r].sequence, kept[r], true});
    auto vocabulary = model_->lowered->plan.vocabulary;
    Tensor logits(ElementType::f32, {static_cast<int64_t>(rows.size()), static_cast<int64_t>(length), static_cast<int64_t>(vocabulary)});
    Tensor results = runner_->forward(spans);
    const float* from = results.as<float>().data();
    float* to = logits.as_mutable<float>().data();
    for (size_t r = 0; r < rows.size(); ++r)
      for (size_t column : columns[r]) {
        std::copy_n(from, vocabulary, to + (r * length + column) * vocabulary);
        from += vocabulary;
      }
    logits_ = std::move(logits);
  }

  /// The mask of the new tokens; that of earlier ones must be what it was.
  std::vector<int64_t> fresh_mask(size_t r, const Row& row, size_t length) const {
    if (!has("attention_mask")) return std::vector<int64_t>(length, 1);
    const Tensor& mask = inputs_.at("attention_mask");
    size_t past = row.mask.size(), total = past + length;
    if (static_cast<size_t>(mask.shape()[1]) != total || static_cast<size_t>(mask.shape()[0]) <= r)
      fail(ErrorKind::invalid_argument, "attention_mask has shape {}: {} past and {} new tokens need {} columns",
           nibble::to_string(mask.shape()), past, length, total);
    auto values = mask.as<int64_t>().subspan(r * total, total);
    if (!std::equal(row.mask.begin(), row.mask.end(), values.begin()))
      fail(ErrorKind::unsupported, "attention_mask differs from what it was for tokens that are in the cache: reset the state");
    return {values.begin() + static_cast<std::ptrdiff_t>(past), values.end()};
  }

  void check_positions_shape(const Shape& ids) const {
    if (!has("position_ids") || inputs_.at("position_ids").shape() == ids) return;
    fail(ErrorKind::invalid_argument, "position_ids has shape {}, input_ids {}", nibble::to_string(inputs_.at("position_ids").shape()),
         nibble::to_string(ids));
  }

  void check_position(size_t r, size_t i, int64_t expected) const {
    if (!has("position_ids")) return;
    const Tensor& positions = inputs_.at("position_ids");
    auto width = static_cast<size_t>(positions.shape().back());
    int64_t given = positions.as<int64_t>()[r * width + i];
    if (given != expected)
      fail(ErrorKind::unsupported, "position_ids: token {} of row {} is at {}; the CPU device counts tokens and has {}", i, r, given,
           expected);
  }

  std::shared_ptr<const PagedModel> model_;
  std::unique_ptr<ModelRunner> runner_;
  std::map<std::string, Tensor> inputs_;
  std::vector<Row> rows_;
  SequenceId next_sequence_ = 1;
  Tensor logits_;
};

}  // namespace

std::unique_ptr<InferRequest> make_paged_request(std::shared_ptr<const PagedModel> model) {
  return std::make_unique<PagedRequest>(std::move(model));
}

}  // namespace nibble::cpu
