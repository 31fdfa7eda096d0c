"""Writes tests/data/export/families.json: what transformers 4.57 makes of incomplete config.json files.

    python tests/export/make_family_cases.py

Each case has a config.json and the sizes that transformers' configuration and attention classes use for it; `windows` has, per layer,
the keys that a query sees (0 = all).
"""

import json
from pathlib import Path

from transformers import AutoConfig

TINY = {"hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 4}
SLIDING = {"use_sliding_window": True, "sliding_window": 6}
CASES = [
    ("llama", "defaults", {}),
    ("llama", "kv_heads_follow_heads", {"hidden_size": 64, "num_attention_heads": 4}),
    ("llama", "nulls", {"num_key_value_heads": None, "head_dim": None, "rope_scaling": None, "num_attention_heads": 16}),
    ("llama", "all_given", {**TINY, "vocab_size": 100, "intermediate_size": 96, "head_dim": 24, "rms_norm_eps": 1e-5, "hidden_act": "gelu",
                            "tie_word_embeddings": True, "rope_theta": 500000.0, "max_position_embeddings": 99}),
    ("mistral", "defaults", {}),
    ("mistral", "window_null", {**TINY, "sliding_window": None}),
    ("mistral", "window_given", {**TINY, "sliding_window": 10}),
    ("mistral", "kv_heads_null", {"num_key_value_heads": None, "num_attention_heads": 16}),
    ("mistral", "head_dim", {**TINY, "head_dim": 40}),
    ("qwen2", "defaults", {}),
    ("qwen2", "kv_heads_null", {"num_key_value_heads": None, "num_attention_heads": 16}),
    ("qwen2", "window_switched_off", {**TINY, "sliding_window": 6, "max_window_layers": 0}),
    ("qwen2", "window_from_layer_2", {**TINY, **SLIDING, "max_window_layers": 2}),
    ("qwen2", "window_everywhere", {**TINY, **SLIDING, "max_window_layers": 0}),
    ("qwen2", "window_default_layers", {**TINY, **SLIDING, "num_hidden_layers": 30}),
    ("qwen2", "window_default_size", {**TINY, "use_sliding_window": True, "max_window_layers": 1}),
    ("qwen2", "window_null", {**TINY, "use_sliding_window": True, "sliding_window": None, "max_window_layers": 0}),
    ("qwen2", "layer_types", {**TINY, **SLIDING, "max_window_layers": 4,
                              "layer_types": ["sliding_attention", "full_attention", "sliding_attention", "full_attention"]}),
    ("qwen3", "defaults", {}),
    ("qwen3", "head_dim", {**TINY, "head_dim": 32}),
    ("qwen3", "window_from_layer_1", {**TINY, **SLIDING, "max_window_layers": 1}),
    ("qwen3", "layer_types", {**TINY, **SLIDING, "layer_types": ["full_attention", "sliding_attention"] * 2}),
]


def window_of(config, layer):
    window = getattr(config, "sliding_window", None) or 0
    types = getattr(config, "layer_types", None)
    return window if types is None or types[layer] == "sliding_attention" else 0


def expectation(model_type, fields):
    config = AutoConfig.for_model(model_type, **json.loads(json.dumps(fields)))
    return {
        "vocab": config.vocab_size, "hidden": config.hidden_size, "intermediate": config.intermediate_size, "layers": config.num_hidden_layers,
        "heads": config.num_attention_heads, "kv_heads": config.num_key_value_heads,
        "head_dim": getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
        "norm_epsilon": config.rms_norm_eps, "activation": config.hidden_act, "tied_embeddings": config.tie_word_embeddings,
        "rope_theta": config.rope_theta, "max_positions": config.max_position_embeddings,
        "windows": [window_of(config, i) for i in range(config.num_hidden_layers)],
    }


def main():
    cases = [{"name": f"{model_type}_{name}", "config": {"model_type": model_type, **fields}, "expected": expectation(model_type, fields)}
             for model_type, name, fields in CASES]
    path = Path(__file__).resolve().parent.parent / "data" / "export" / "families.json"
    path.write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


if __name__ == "__main__":
    main()
