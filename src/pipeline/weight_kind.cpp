#include "pipeline/weight_kind.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace nibble {

namespace {

struct Rule {
  std::string_view part;  ///< of a name
  std::string_view kind;
};

/// Within an attention block; the first that fits. Names end in ".weight" or go on with "/" where layers have them.
constexpr std::array<Rule, 27> kAttention{{{"qkv", "attention qkv"},
                                           {"query_key_value", "attention qkv"},
                                           {"c_attn", "attention qkv"},
                                           {"w_pack", "attention qkv"},
                                           {"q_a_proj", "attention q"},
                                           {"q_b_proj", "attention q"},
                                           {"kv_a_proj", "attention kv"},
                                           {"kv_b_proj", "attention kv"},
                                           {"q_proj", "attention q"},
                                           {"k_proj", "attention k"},
                                           {"v_proj", "attention v"},
                                           {"o_proj", "attention o"},
                                           {"out_proj", "attention o"},
                                           {"c_proj", "attention o"},
                                           {"dense", "attention o"},
                                           {"attn_q.", "attention q"},
                                           {"attn_k.", "attention k"},
                                           {"attn_v.", "attention v"},
                                           {"attn_output", "attention o"},
                                           {".wo.", "attention o"},
                                           {".wo/", "attention o"},
                                           {".wq.", "attention q"},
                                           {".wk.", "attention k"},
                                           {".wv.", "attention v"},
                                           {"attention.query", "attention q"},
                                           {"attention.key", "attention k"},
                                           {"attention.value", "attention v"}}};

/// Within a feed-forward block.
constexpr std::array<Rule, 22> kMlp{
    {{"gate_up", "mlp gate+up"},  {"gate_proj", "mlp gate"},     {"up_proj", "mlp up"},    {"down_proj", "mlp down"},
     {"dense_h_to_4h", "mlp up"}, {"dense_4h_to_h", "mlp down"}, {"c_fc", "mlp up"},       {"c_proj", "mlp down"},
     {"fc_in", "mlp up"},         {"fc_out", "mlp down"},        {"fc1", "mlp up"},        {"fc2", "mlp down"},
     {"ffn_gate", "mlp gate"},    {"ffn_up", "mlp up"},          {"ffn_down", "mlp down"}, {".w1.", "mlp gate"},
     {".w1/", "mlp gate"},        {".w2.", "mlp down"},          {".w2/", "mlp down"},     {".w3.", "mlp up"},
     {".w3/", "mlp up"},          {"linear_in", "mlp up"}}};

template <size_t n>
std::string_view find_rule(const std::array<Rule, n>& rules, std::string_view name) {
  for (const Rule& rule : rules)
    if (name.find(rule.part) != std::string_view::npos) return rule.kind;
  return {};
}

}  // namespace

std::string weight_kind(std::string_view original) {
  std::string name(original);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return c < 128 ? static_cast<char>(std::tolower(c)) : '_'; });
  auto has = [&](std::initializer_list<std::string_view> parts) {
    return std::any_of(parts.begin(), parts.end(), [&](std::string_view part) { return name.find(part) != std::string::npos; });
  };
  if (has({"lm_head", "embed_out", "output_layer"})) return "head";
  if (has({"router", "mlp.gate.", "mlp.gate/", "moe.gate.", "moe.gate/", "ffn_gate_inp"})) return "router";
  if (has({"experts", "_exps"}) && !has({"shared"})) return "experts";
  bool is_attention = has({"attn", "attention", "wqkv"});
  if (is_attention) {
    std::string_view kind = find_rule(kAttention, name);
    return kind.empty() ? "attention" : std::string(kind);
  }
  if (std::string_view kind = find_rule(kMlp, name); !kind.empty()) return std::string(kind);
  if (has({"mlp", "ffn", "feed_forward", "shared_expert"})) return "mlp";
  if (has({"embed", "wte", "wpe"})) return "embedding";
  return "other";
}

bool feeds_result(const Node& layer) {
  constexpr size_t kMostSteps = 6;  // of scaling and capping
  const Node* node = &layer;
  for (size_t i = 0; i < kMostSteps; ++i) {
    auto uses = const_cast<Node*>(node)->uses();
    if (std::any_of(uses.begin(), uses.end(), [](const Node::Use& use) { return use.node->is("Result"); })) return true;
    if (uses.size() != 1) return false;
    const Node* next = uses.front().node;
    if (!next->is("Multiply") && !next->is("Divide") && !next->is("Tanh") && !next->is("Convert") && !next->is("Add")) return false;
    node = next;
  }
  return false;
}

std::string weight_kind(std::string_view constant, const Node& reader) {
  if (reader.is("Gather")) return "embedding";
  if (feeds_result(reader)) return "head";
  std::string kind = weight_kind(constant);
  return kind == "other" ? weight_kind(reader.name()) : kind;
}

}  // namespace nibble
