"""A random checkpoint in the shape of TinyLlama 1.1B: float16, one safetensors file of 2.2 GB, written tensor by tensor."""

import json
import struct
from pathlib import Path

import numpy as np

CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "attention_bias": False, "bos_token_id": 1, "eos_token_id": 2,
    "hidden_act": "silu", "hidden_size": 2048, "initializer_range": 0.02, "intermediate_size": 5632, "max_position_embeddings": 2048,
    "num_attention_heads": 32, "num_hidden_layers": 22, "num_key_value_heads": 4, "pretraining_tp": 1, "rms_norm_eps": 1e-05,
    "rope_scaling": None, "rope_theta": 10000.0, "tie_word_embeddings": False, "torch_dtype": "float16",
    "transformers_version": "4.57.6", "use_cache": True, "vocab_size": 32000,
}


def layer_shapes(config):
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    keys = hidden // config["num_attention_heads"] * config["num_key_value_heads"]
    return {
        "input_layernorm": (hidden,), "post_attention_layernorm": (hidden,),
        "self_attn.q_proj": (hidden, hidden), "self_attn.k_proj": (keys, hidden), "self_attn.v_proj": (keys, hidden),
        "self_attn.o_proj": (hidden, hidden), "mlp.gate_proj": (inner, hidden), "mlp.up_proj": (inner, hidden), "mlp.down_proj": (hidden, inner),
    }


def shapes(config):
    table = (config["vocab_size"], config["hidden_size"])
    result = {"model.embed_tokens.weight": table}
    for layer in range(config["num_hidden_layers"]):
        result.update({f"model.layers.{layer}.{name}.weight": shape for name, shape in layer_shapes(config).items()})
    return {**result, "model.norm.weight": (config["hidden_size"],), "lm_head.weight": table}


def header(tensors):
    entries, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in tensors.items():
        size = 2 * int(np.prod(shape))
        entries[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def random_tensor(rng, shape):
    if len(shape) == 1:
        return np.ones(shape, np.float16)
    return (rng.standard_normal(shape, dtype=np.float32) * np.float32(0.02)).astype(np.float16)


def make(folder, seed=0, config=CONFIG):
    """Writes the checkpoint into `folder` unless it is there."""
    folder = Path(folder)
    weights = folder / "model.safetensors"
    if weights.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    rng, tensors, partial = np.random.default_rng(seed), shapes(config), folder / "model.safetensors.partial"
    with open(partial, "wb") as file:
        file.write(header(tensors))
        for shape in tensors.values():
            file.write(random_tensor(rng, shape).tobytes())
    partial.rename(weights)
