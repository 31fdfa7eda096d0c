#include "export/layer_names.hpp"

#include <fmt/format.h>

namespace nibble {

namespace {

std::string numbered(std::string_view pattern, int64_t layer) {
  std::string name(pattern);
  if (size_t at = name.find("{}"); at != std::string::npos) name.replace(at, 2, std::to_string(layer));
  return name;
}

std::string own_name(int64_t layer, std::string_view part) { return fmt::format("model.layers.{}.{}", layer, part); }

/// The rows of heads that begin at `first` and lie `step` rows apart.
std::vector<RowRun> head_rows(int64_t first, int64_t heads, int64_t step, int64_t head_dim) {
  std::vector<RowRun> rows;
  for (int64_t head = 0; head < heads; ++head) rows.push_back({first + head * step, head_dim, 1});
  return rows;
}

struct QkvRows {
  std::vector<RowRun> query, key, value;
};

QkvRows qkv_rows(const AttentionConfig& a, QkvOrder order) {
  int64_t dim = a.head_dim;
  if (order == QkvOrder::stacked)
    return {head_rows(0, a.heads, dim, dim), head_rows(a.heads * dim, a.kv_heads, dim, dim),
            head_rows((a.heads + a.kv_heads) * dim, a.kv_heads, dim, dim)};
  int64_t queries = a.heads / a.kv_heads, group = (queries + 2) * dim;
  QkvRows rows;
  for (int64_t g = 0; g < a.kv_heads; ++g)
    for (const RowRun& run : head_rows(g * group, queries, dim, dim)) rows.query.push_back(run);
  rows.key = head_rows(queries * dim, a.kv_heads, group, dim);
  rows.value = head_rows((queries + 1) * dim, a.kv_heads, group, dim);
  return rows;
}

int64_t rotated_dims(const DecoderConfig& config) { return config.ropes.empty() ? 0 : config.ropes.front().dims; }

}  // namespace

void rename_layers(DecoderConfig& config, std::string_view layers, LayerNames names) {
  for (int64_t i = 0; i < config.layers; ++i)
    for (const auto& [own, stored] : names)
      config.weights.rename(own_name(i, own) + ".", fmt::format("{}{}.", numbered(layers, i), stored));
}

void fuse_qkv(DecoderConfig& config, std::string_view layer, QkvOrder order, HeadRows how) {
  QkvRows rows = qkv_rows(config.attention, order);
  if (how.pairs) rows.query = halved_pairs(rows.query, rotated_dims(config)), rows.key = halved_pairs(rows.key, rotated_dims(config));
  for (int64_t i = 0; i < config.layers; ++i) {
    config.weights.set_layer(own_name(i, "self_attn.q_proj"), {numbered(layer, i), rows.query, how.transposed});
    config.weights.set_layer(own_name(i, "self_attn.k_proj"), {numbered(layer, i), rows.key, how.transposed});
    config.weights.set_layer(own_name(i, "self_attn.v_proj"), {numbered(layer, i), rows.value, how.transposed});
  }
}

namespace {

/// Layers "q_<what>" and "k_<what>".
void halve_pairs_of(DecoderConfig& config, std::string_view attention, std::string_view what) {
  const AttentionConfig& a = config.attention;
  for (auto [letter, heads] : {std::pair{"q", a.heads}, {"k", a.kv_heads}}) {
    std::vector<RowRun> rows = halved_pairs(head_rows(0, heads, a.head_dim, a.head_dim), rotated_dims(config));
    for (int64_t i = 0; i < config.layers; ++i)
      config.weights.set_layer(own_name(i, fmt::format("self_attn.{}_{}", letter, what)),
                               {fmt::format("{}.{}_{}", numbered(attention, i), letter, what), rows});
  }
}

}  // namespace

void rotate_pairs(DecoderConfig& config, std::string_view attention) { halve_pairs_of(config, attention, "proj"); }

void rotate_pairs_of_norms(DecoderConfig& config, std::string_view attention) { halve_pairs_of(config, attention, "norm"); }

void fuse_gate_up(DecoderConfig& config, std::string_view layer) {
  int64_t rows = config.mlp.intermediate;
  for (int64_t i = 0; i < config.layers; ++i) {
    config.weights.set_layer(own_name(i, "mlp.gate_proj"), {numbered(layer, i), {{0, rows, 1}}});
    config.weights.set_layer(own_name(i, "mlp.up_proj"), {numbered(layer, i), {{rows, rows, 1}}});
  }
}

namespace {

std::string expert_name(const DecoderConfig& config, int64_t layer, std::string_view part) {
  return own_name(layer, fmt::format("{}.experts.{}.weight", config.moe.path, part));
}

}  // namespace

void stack_experts(DecoderConfig& config, std::string_view experts, LayerNames names) {
  for (int64_t i = 0; i < config.layers; ++i)
    for (const auto& [own, stored] : names)
      config.weights.set_maker(expert_name(config, i, own),
                               [count = config.moe.experts, path = numbered(experts, i), part = std::string(stored)] {
                                 WeightRecipe recipe;
                                 for (int64_t e = 0; e < count; ++e)
                                   recipe.parts.push_back({fmt::format("{}.{}.{}.weight", path, e, part)});
                                 return recipe;
                               });
}

void split_experts(DecoderConfig& config, std::string_view input, std::string_view output) {
  for (int64_t i = 0; i < config.layers; ++i) {
    auto rows_of = [count = config.moe.experts, rows = config.moe.intermediate, name = numbered(input, i)](int64_t half) {
      WeightPart part{name};
      for (int64_t e = 0; e < count; ++e) part.rows.push_back({(2 * e + half) * rows, rows, 1});
      return WeightRecipe{{part}};
    };
    config.weights.set_maker(expert_name(config, i, "gate_proj"), [rows_of] { return rows_of(0); });
    config.weights.set_maker(expert_name(config, i, "up_proj"), [rows_of] { return rows_of(1); });
    config.weights.set(expert_name(config, i, "down_proj"), WeightRecipe{{{numbered(output, i)}}});
  }
}

void transpose_layer(DecoderConfig& config, std::string_view name, std::string_view layer) {
  for (int64_t i = 0; i < config.layers; ++i) config.weights.set_layer(own_name(i, name), {numbered(layer, i), {}, true});
}

}  // namespace nibble
