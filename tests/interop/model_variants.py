"""The tiny checkpoints that make_models.py makes: what each one's config.json says and how its weights are stored.

A variant is its family's base config, with the keys of `config` changed, and those of `drop` left out (readers then have to
know the class defaults of transformers). `store` says how the weights lie on disk:

    dtype    f32, f16, bf16, or mixed (bf16 with norms in f32)
    layout   safetensors, sharded (safetensors), bin, bin-sharded
    extras   inv_freq: rotary buffers, as old checkpoints have them; lm_head: the tied output layer stored a second time
    form     v5: config.json as transformers 5 writes it, one rope_parameters object and dtype
"""

from dataclasses import dataclass, field

BASE = {
    "attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "hidden_act": "silu", "hidden_size": 64,
    "initializer_range": 0.02, "intermediate_size": 96, "max_position_embeddings": 128, "num_attention_heads": 4,
    "num_hidden_layers": 2, "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "rope_theta": 10000.0, "tie_word_embeddings": False,
    "use_cache": True, "vocab_size": 256, "transformers_version": "4.57.6",
}
# Families whose config.json has other keys.
OTHER_BASES = {
    "gpt2": {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "n_embd": 64, "n_head": 4, "n_layer": 3, "n_positions": 64,
             "use_cache": True, "vocab_size": 192, "transformers_version": "4.57.6"},
    "falcon": {"alibi": True, "bias": True, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "hidden_size": 96,
               "layer_norm_epsilon": 1e-5, "multi_query": False, "new_decoder_architecture": False, "num_attention_heads": 6,
               "num_hidden_layers": 2, "parallel_attn": False, "vocab_size": 160, "use_cache": True, "transformers_version": "4.57.6"},
}
FAMILIES = {
    "gpt2": {"architectures": ["GPT2LMHeadModel"]},
    "falcon": {"architectures": ["FalconForCausalLM"]},
    "phi": {"architectures": ["PhiForCausalLM"], "layer_norm_eps": 1e-5, "hidden_act": "gelu_new", "partial_rotary_factor": 0.5,
            "rope_scaling": None},
    "phi3": {"architectures": ["Phi3ForCausalLM"], "rope_scaling": None, "sliding_window": None},
    "llama": {"architectures": ["LlamaForCausalLM"], "attention_bias": False, "mlp_bias": False, "rope_scaling": None},
    "mistral": {"architectures": ["MistralForCausalLM"], "head_dim": None, "sliding_window": None},
    "qwen2": {"architectures": ["Qwen2ForCausalLM"], "rope_theta": 1000000.0, "sliding_window": 64, "use_sliding_window": False,
              "max_window_layers": 28},
    "qwen3": {"architectures": ["Qwen3ForCausalLM"], "rope_theta": 1000000.0, "attention_bias": False, "head_dim": 32,
              "rope_scaling": None, "sliding_window": None, "use_sliding_window": False, "max_window_layers": 28},
    "mixtral": {"architectures": ["MixtralForCausalLM"], "head_dim": None, "sliding_window": None, "num_local_experts": 4,
                "num_experts_per_tok": 2, "intermediate_size": 40},
    "qwen2_moe": {"architectures": ["Qwen2MoeForCausalLM"], "num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 32,
                  "shared_expert_intermediate_size": 48, "norm_topk_prob": False, "decoder_sparse_step": 1, "mlp_only_layers": []},
    "qwen3_moe": {"architectures": ["Qwen3MoeForCausalLM"], "num_experts": 8, "num_experts_per_tok": 3, "moe_intermediate_size": 24,
                  "norm_topk_prob": True, "decoder_sparse_step": 1, "mlp_only_layers": [], "head_dim": 16},
    "olmoe": {"architectures": ["OlmoeForCausalLM"], "num_experts": 8, "num_experts_per_tok": 3, "intermediate_size": 24,
              "norm_topk_prob": False, "clip_qkv": None, "num_key_value_heads": 4},
    "phimoe": {"architectures": ["PhimoeForCausalLM"], "num_local_experts": 4, "num_experts_per_tok": 2, "intermediate_size": 40,
               "router_jitter_noise": 0.01, "attention_bias": True, "lm_head_bias": True, "sliding_window": None, "rope_scaling": None},
    "granitemoe": {"architectures": ["GraniteMoeForCausalLM"], "num_local_experts": 4, "num_experts_per_tok": 2, "intermediate_size": 48,
                   "embedding_multiplier": 12.0, "attention_multiplier": 0.08, "residual_multiplier": 0.22, "logits_scaling": 6.0},
    "gpt_oss": {"architectures": ["GptOssForCausalLM"], "num_local_experts": 4, "num_experts_per_tok": 2, "intermediate_size": 48,
                "head_dim": 16, "sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"],
                "rope_scaling": {"rope_type": "yarn", "factor": 8.0, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": False,
                                 "original_max_position_embeddings": 16}},
    "deepseek_v2": {"architectures": ["DeepseekV2ForCausalLM"], "num_key_value_heads": 4, "first_k_dense_replace": 1, "kv_lora_rank": 32,
                    "q_lora_rank": None, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 12, "moe_intermediate_size": 24,
                    "n_routed_experts": 6, "n_shared_experts": 2, "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1,
                    "topk_method": "greedy", "routed_scaling_factor": 1.0, "norm_topk_prob": False},
    "deepseek_v3": {"architectures": ["DeepseekV3ForCausalLM"], "num_key_value_heads": 4, "first_k_dense_replace": 1, "kv_lora_rank": 32,
                    "q_lora_rank": 40, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 12, "moe_intermediate_size": 24,
                    "n_routed_experts": 8, "n_shared_experts": 1, "num_experts_per_tok": 3, "n_group": 4, "topk_group": 2,
                    "routed_scaling_factor": 2.5, "norm_topk_prob": True},
}


@dataclass
class Variant:
    name: str
    family: str
    exercises: str
    config: dict = field(default_factory=dict)
    drop: tuple = ()
    dtype: str = "bf16"
    layout: str = "safetensors"
    extras: tuple = ()
    form: str = "v4"
    length_dependent: bool = False  # rotary frequencies depend on how long the sequence is: a cached run differs from a full one


def longrope(head_dim, **more):
    half = head_dim // 2
    short = [round(1.0 + 0.05 * i, 3) for i in range(half)]
    long = [round(1.0 + 0.9 * i, 3) for i in range(half)]
    return {"rope_type": "longrope", "short_factor": short, "long_factor": long, **more}


def yarn(**more):
    return {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32, **more}


LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}


def llama(name, exercises, config=None, **more):
    return Variant("llama-" + name, "llama", exercises, config or {}, **more)


def mistral(name, exercises, config=None, **more):
    return Variant("mistral-" + name, "mistral", exercises, config or {}, **more)


def qwen2(name, exercises, config=None, **more):
    return Variant("qwen2-" + name, "qwen2", exercises, config or {}, **more)


def qwen3(name, exercises, config=None, **more):
    return Variant("qwen3-" + name, "qwen3", exercises, config or {}, **more)


ROPE = [
    llama("linear-default-theta", "linear scaling, rope_theta left to the class default", {"rope_scaling": {"rope_type": "linear", "factor": 2.5}},
          drop=("rope_theta",), dtype="f16"),
    llama("dynamic-short", "dynamic NTK scaling below max_position_embeddings: plain rope",
          {"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}),
    llama("dynamic-long", "dynamic NTK scaling beyond max_position_embeddings: the base grows with every token",
          {"rope_scaling": {"type": "dynamic", "factor": 3.0}, "max_position_embeddings": 16,
           "num_hidden_layers": 1, "intermediate_size": 64, "vocab_size": 160}, dtype="f32", length_dependent=True),
    llama("longrope-short", "longrope below original_max_position_embeddings: short factors, cos and sin still scaled",
          {"rope_scaling": longrope(16), "original_max_position_embeddings": 64}),
    llama("longrope-long", "longrope beyond original_max_position_embeddings: long factors for the prompt, short ones for the batch",
          {"rope_scaling": longrope(16), "original_max_position_embeddings": 16, "vocab_size": 224}, dtype="f16", length_dependent=True),
    llama("longrope-crossing", "longrope, original_max_position_embeddings crossed while the answer grows; attention_factor given",
          {"rope_scaling": longrope(16, attention_factor=1.25), "original_max_position_embeddings": 32}, dtype="f32", length_dependent=True),
    llama("longrope-factor", "longrope without original_max_position_embeddings: scaled by factor, limit is max_position_embeddings",
          {"rope_scaling": longrope(16, factor=4.0)}),
    llama("llama3-theta", "llama3 rope scaling with other bounds, rope_theta an integer in the file, eos_token_id a list",
          {"rope_scaling": {**LLAMA3, "factor": 32.0, "low_freq_factor": 2.0, "high_freq_factor": 8.0}, "rope_theta": 500000,
           "eos_token_id": [2, 3]}),
    llama("yarn-attention-factor", "yarn with an explicit attention_factor", {"rope_scaling": yarn(attention_factor=0.8)}),
    llama("yarn-mscale", "yarn, attention factor from mscale over mscale_all_dim", {"rope_scaling": yarn(mscale=0.707, mscale_all_dim=1.4)}),
    llama("yarn-mscale-half", "yarn, mscale without mscale_all_dim is ignored", {"rope_scaling": yarn(mscale=2.0)}, dtype="f16"),
    llama("yarn-no-truncate", "yarn, truncate false: the correction range is not rounded; own beta_fast and beta_slow",
          {"rope_scaling": yarn(truncate=False, beta_fast=4.0, beta_slow=0.5)}, dtype="f32"),
    llama("yarn-no-original", "yarn without original_max_position_embeddings: max_position_embeddings counts",
          {"rope_scaling": {"type": "yarn", "factor": 8.0}, "max_position_embeddings": 32}),
    llama("yarn-v5", "yarn in the config form of transformers 5, tied", {"rope_scaling": yarn(), "rope_theta": 50000.0, "tie_word_embeddings": True},
          form="v5"),
    llama("default-v5", "rope_parameters of type default with their own theta", {"rope_theta": 700000.0}, form="v5", drop=("num_key_value_heads",)),
    mistral("yarn", "rope scaling in a family whose config class does not name it", {"rope_scaling": yarn(beta_slow=0.25), "head_dim": 16}),
    qwen2("yarn", "yarn as published for qwen2.5 (type, no attention factor)",
          {"rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}}),
]

SHAPES = [
    llama("mqa", "one key/value head, head size 24, hidden 96", {"hidden_size": 96, "num_key_value_heads": 1, "head_dim": 24}),
    llama("mqa-head-dim", "one key/value head, six heads of 40 over hidden 64", {"num_attention_heads": 6, "num_key_value_heads": 1, "head_dim": 40}),
    llama("gqa3", "three heads to one key/value head, hidden 96, three layers, odd vocabulary",
          {"hidden_size": 96, "num_attention_heads": 6, "num_hidden_layers": 3, "vocab_size": 251}, dtype="f16"),
    llama("odd-sizes", "odd vocabulary, odd feed-forward width, hidden 88, one layer, both biases",
          {"vocab_size": 263, "intermediate_size": 75, "hidden_size": 88, "num_hidden_layers": 1, "num_key_value_heads": 4,
           "attention_bias": True, "mlp_bias": True}, dtype="f32"),
    llama("attention-bias-tied", "biases in attention only, tied embeddings", {"attention_bias": True, "tie_word_embeddings": True}),
    llama("mlp-bias", "biases in the feed-forward only", {"mlp_bias": True}, dtype="f16"),
    llama("gelu", "exact gelu, eps 1e-5", {"hidden_act": "gelu", "rms_norm_eps": 1e-5}),
    llama("gelu-tanh", "gelu_pytorch_tanh", {"hidden_act": "gelu_pytorch_tanh"}),
    llama("gelu-new", "gelu_new, the other name of the tanh form", {"hidden_act": "gelu_new"}, dtype="f32"),
    llama("relu", "relu, a large eps", {"hidden_act": "relu", "rms_norm_eps": 0.05}),
    llama("partial-config", "head_dim, num_key_value_heads, rope_theta, rms_norm_eps, hidden_act, biases and torch_dtype are not in config.json",
          {"num_key_value_heads": 4},
          drop=("head_dim", "num_key_value_heads", "rope_theta", "rope_scaling", "rms_norm_eps", "hidden_act", "attention_bias", "mlp_bias",
                "tie_word_embeddings", "torch_dtype", "max_position_embeddings", "attention_dropout", "use_cache", "transformers_version"),
          dtype="f16"),
    llama("null-config", "num_key_value_heads, head_dim and rope_scaling are null", {"num_key_value_heads": None, "head_dim": None}),
    qwen3("untied", "untied, eight heads of 16, two key/value heads, odd vocabulary",
          {"num_attention_heads": 8, "head_dim": 16, "vocab_size": 271}, dtype="f16"),
    qwen3("attention-bias", "biases on q, k, v and o beside the norms of q and k", {"attention_bias": True, "tie_word_embeddings": True}),
    qwen3("class-defaults", "head_dim (128) and the sliding keys are not in config.json", {"num_attention_heads": 2, "num_key_value_heads": 1},
          drop=("head_dim", "sliding_window", "use_sliding_window", "max_window_layers", "tie_word_embeddings", "attention_bias", "rope_scaling")),
    qwen2("class-defaults", "num_key_value_heads is not in config.json: 32, not the number of heads of some other class",
          {"hidden_size": 128, "num_attention_heads": 32, "intermediate_size": 64, "num_key_value_heads": 32, "num_hidden_layers": 1},
          drop=("num_key_value_heads", "sliding_window", "use_sliding_window", "max_window_layers")),
    mistral("class-defaults", "num_key_value_heads (8), sliding_window (4096) and head_dim are not in config.json",
            {"num_attention_heads": 16, "num_key_value_heads": 8}, drop=("num_key_value_heads", "sliding_window", "head_dim", "rope_theta")),
    mistral("head-dim", "head_dim explicit and not hidden / heads, no sliding window", {"head_dim": 32, "hidden_size": 96}),
]

WINDOWS = [
    mistral("window-larger", "a sliding window larger than any sequence, sharded", {"sliding_window": 4096}, dtype="f16", layout="sharded"),
    mistral("window-tied", "sliding window 10, tied, one key/value head", {"sliding_window": 10, "tie_word_embeddings": True, "num_key_value_heads": 1}),
    qwen2("window-all", "max_window_layers 0: every layer slides", {"use_sliding_window": True, "sliding_window": 6, "max_window_layers": 0}),
    qwen2("window-off", "a short sliding_window that use_sliding_window false switches off", {"sliding_window": 4, "max_window_layers": 0}, dtype="f16"),
    qwen2("layer-types", "layer_types decide, against max_window_layers",
          {"use_sliding_window": True, "sliding_window": 7, "num_hidden_layers": 3, "max_window_layers": 3,
           "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}, dtype="f32"),
    qwen3("sliding", "the second layer slides, untied", {"use_sliding_window": True, "sliding_window": 9, "max_window_layers": 1}),
    qwen3("layer-types", "the first layer slides by layer_types, the second does not",
          {"use_sliding_window": True, "sliding_window": 5, "layer_types": ["sliding_attention", "full_attention"]}, dtype="f16"),
]

STORES = [
    llama("bin-sharded-tied", "pytorch_model.bin in shards, the tied output layer a second view of the same storage", {"tie_word_embeddings": True},
          dtype="f16", layout="bin-sharded", extras=("lm_head",)),
    llama("inv-freq", "rotary buffers in the file, as checkpoints of 2023 have them", {}, dtype="f16", layout="bin", extras=("inv_freq",)),
    llama("tied-twice", "tied embeddings with lm_head.weight in the file as well", {"tie_word_embeddings": True}, extras=("lm_head",)),
    llama("mixed-types", "bfloat16 with norms in float32, llama3 rope", {"rope_scaling": LLAMA3}, dtype="mixed", layout="sharded"),
]

OTHERS = [
    Variant("gpt2-layer-scales", "gpt2", "scores divided by the number of the layer too, own feed-forward width, untied",
            {"scale_attn_by_inverse_layer_idx": True, "reorder_and_upcast_attn": True, "n_inner": 72, "tie_word_embeddings": False}, dtype="f16"),
    Variant("falcon-rw-6-heads", "falcon", "slopes between powers of two, which are rounded to bfloat16 and so is what they give",
            {"ffn_hidden_size": 64, "tie_word_embeddings": False, "vocab_size": 128}),
    Variant("phi-tied", "phi", "tied embeddings beside the bias of the output layer, a quarter of each head rotated",
            {"tie_word_embeddings": True, "partial_rotary_factor": 0.25, "vocab_size": 192}, drop=("rms_norm_eps",)),
    Variant("phi3-class-length", "phi3", "longrope whose original_max_position_embeddings (4096) is left to the class, by its old name",
            {"rope_scaling": {"type": "su", "short_factor": longrope(16)["short_factor"], "long_factor": longrope(16)["long_factor"]},
             "max_position_embeddings": 131072}),
]


def experts(family, name, exercises, config, **more):
    return Variant(f"{family}-{name}", family, exercises, config, **more)


EXPERTS = [
    experts("mixtral", "one-of-three", "one expert for every token, of three; exact gelu, a sliding window, tied",
            {"num_local_experts": 3, "num_experts_per_tok": 1, "hidden_act": "gelu", "sliding_window": 6, "tie_word_embeddings": True}),
    experts("mixtral", "all", "every token goes to every expert, heads of 24, hidden 96",
            {"num_local_experts": 5, "num_experts_per_tok": 5, "hidden_size": 96, "head_dim": 24}, dtype="f16"),
    experts("mixtral", "defaults", "eight experts, two for a token, rope_theta 1e6: all left to the class",
            {"num_local_experts": 8, "num_key_value_heads": 2}, drop=("num_local_experts", "num_experts_per_tok", "rope_theta", "sliding_window")),
    experts("qwen2_moe", "sparse-step", "experts in every second layer only, normalized weights, no biases, windows everywhere",
            {"num_hidden_layers": 4, "decoder_sparse_step": 2, "norm_topk_prob": True, "qkv_bias": False, "use_sliding_window": True,
             "sliding_window": 7, "max_window_layers": 2, "num_experts": 5, "num_experts_per_tok": 3}, dtype="f32"),
    experts("qwen3_moe", "mlp-only", "one layer without experts, weights not normalized, biases in attention, a window",
            {"num_hidden_layers": 3, "mlp_only_layers": [1], "norm_topk_prob": False, "attention_bias": True, "num_experts": 12,
             "num_experts_per_tok": 4, "head_dim": 32, "use_sliding_window": True, "sliding_window": 9}),
    experts("olmoe", "clipped", "q, k and v clamped behind the norms, normalized weights, biases, two key/value heads",
            {"clip_qkv": 0.7, "norm_topk_prob": True, "attention_bias": True, "num_experts": 16, "num_experts_per_tok": 5}, dtype="f16"),
    experts("phimoe", "jitter", "a wide router jitter: several logits count; sixteen experts, no biases",
            {"router_jitter_noise": 0.3, "attention_bias": False, "lm_head_bias": False, "num_local_experts": 16}),
    experts("phimoe", "longrope", "longrope beyond the original length with a factor of its own for long sequences",
            {"rope_scaling": {"type": "longrope", "short_factor": [1.0 + 0.05 * i for i in range(8)],
                              "long_factor": [1.0 + 0.9 * i for i in range(8)], "short_mscale": 1.1, "long_mscale": 1.3,
                              "original_max_position_embeddings": 16}, "router_jitter_noise": 0.1, "sliding_window": 12},
            length_dependent=True),
    experts("granitemoe", "seven", "three of seven experts, biases in attention, odd widths",
            {"num_local_experts": 7, "num_experts_per_tok": 3, "attention_bias": True, "intermediate_size": 25}),
    experts("gpt_oss", "six", "three of six experts, heads of 24, the first layer sees everything, plain rope",
            {"num_local_experts": 6, "num_experts_per_tok": 3, "head_dim": 24, "sliding_window": 5, "num_hidden_layers": 3,
             "layer_types": ["full_attention", "sliding_attention", "sliding_attention"], "rope_scaling": {"rope_type": "default"},
             "intermediate_size": 25, "hidden_size": 96}, dtype="f32"),
    experts("deepseek_v2", "groups", "queries through q_lora, two of three groups by their best expert, scaled weights, biases, no dense layer",
            {"q_lora_rank": 24, "topk_method": "group_limited_greedy", "n_group": 3, "topk_group": 2, "n_routed_experts": 9,
             "num_experts_per_tok": 4, "n_shared_experts": 1, "routed_scaling_factor": 1.5, "first_k_dense_replace": 0,
             "attention_bias": True, "v_head_dim": 32, "qk_rope_head_dim": 4, "qk_nope_head_dim": 10}),
    experts("deepseek_v3", "one-group", "no groups, no q_lora, weights not normalized, halves rotated, yarn whose two mscales differ",
            {"q_lora_rank": None, "n_group": 1, "topk_group": 1, "n_shared_experts": 2, "norm_topk_prob": False, "rope_interleave": False,
             "routed_scaling_factor": 1.7, "first_k_dense_replace": 2, "num_hidden_layers": 3, "attention_bias": True,
             "rope_scaling": yarn(mscale=0.707, mscale_all_dim=1.2, beta_fast=16.0, beta_slow=2.0), "v_head_dim": 40}, dtype="f16"),
    experts("deepseek_v3", "groups", "three of five groups of four experts, yarn without mscales",
            {"n_group": 5, "topk_group": 3, "n_routed_experts": 20, "num_experts_per_tok": 6, "first_k_dense_replace": 0,
             "rope_scaling": yarn()}, dtype="f32"),
]

VARIANTS = ROPE + SHAPES + WINDOWS + STORES + OTHERS + EXPERTS
