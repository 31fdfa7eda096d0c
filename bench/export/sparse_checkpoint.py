"""Large checkpoints that take little disk: the shapes of Llama 70B and Mixtral 8x7B with fewer layers, in bfloat16, in shards of 5 GB as
they are published. The first layer holds random values, the others are holes: a reader gets zeros, as fast as memory gives them."""

import json
import struct
from pathlib import Path

import numpy as np

SHARD_BYTES = 5_000_000_000

LLAMA = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "attention_bias": False, "bos_token_id": 1, "eos_token_id": 2,
    "hidden_act": "silu", "hidden_size": 8192, "intermediate_size": 28672, "max_position_embeddings": 4096, "num_attention_heads": 64,
    "num_hidden_layers": 17, "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "tie_word_embeddings": False,
    "torch_dtype": "bfloat16", "vocab_size": 32000,
}
MIXTRAL = {
    "architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu",
    "hidden_size": 4096, "intermediate_size": 14336, "max_position_embeddings": 32768, "num_attention_heads": 32, "num_experts_per_tok": 2,
    "num_hidden_layers": 11, "num_key_value_heads": 8, "num_local_experts": 8, "rms_norm_eps": 1e-05, "rope_theta": 1000000.0,
    "tie_word_embeddings": False, "torch_dtype": "bfloat16", "vocab_size": 32000,
}
MODELS = {"llama-70b": LLAMA, "mixtral-8x7b": MIXTRAL}


def feed_forward(config):
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    if "num_local_experts" not in config:
        return {"mlp.gate_proj": (inner, hidden), "mlp.up_proj": (inner, hidden), "mlp.down_proj": (hidden, inner)}
    shapes = {"block_sparse_moe.gate": (config["num_local_experts"], hidden)}
    for expert in range(config["num_local_experts"]):
        for name, shape in {"w1": (inner, hidden), "w2": (hidden, inner), "w3": (inner, hidden)}.items():
            shapes[f"block_sparse_moe.experts.{expert}.{name}"] = shape
    return shapes


def layer_shapes(config):
    hidden = config["hidden_size"]
    keys = hidden // config["num_attention_heads"] * config["num_key_value_heads"]
    return {"input_layernorm": (hidden,), "post_attention_layernorm": (hidden,), "self_attn.q_proj": (hidden, hidden),
            "self_attn.k_proj": (keys, hidden), "self_attn.v_proj": (keys, hidden), "self_attn.o_proj": (hidden, hidden), **feed_forward(config)}


def shapes(config):
    table = (config["vocab_size"], config["hidden_size"])
    result = {"model.embed_tokens.weight": table}
    for layer in range(config["num_hidden_layers"]):
        result.update({f"model.layers.{layer}.{name}.weight": shape for name, shape in layer_shapes(config).items()})
    return {**result, "model.norm.weight": (config["hidden_size"],), "lm_head.weight": table}


def size_of(shape):
    return 2 * int(np.prod(shape))


def shards(tensors):
    """Lists of names, each of about SHARD_BYTES."""
    result, filled = [[]], 0
    for name, shape in tensors.items():
        if result[-1] and filled + size_of(shape) > SHARD_BYTES:
            result.append([])
            filled = 0
        result[-1].append(name)
        filled += size_of(shape)
    return result


def header(tensors):
    entries, offset = {}, 0
    for name, shape in tensors.items():
        entries[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, offset + size_of(shape)]}
        offset += size_of(shape)
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text, offset


def random_bytes(rng, shape):
    """bfloat16 of either sign between 2^-9 and 2^-5: the bits are cheaper than a distribution, and the quantizer does not mind."""
    bits = rng.integers(0x3b00, 0x3d00, shape, np.uint16) | rng.integers(0, 2, shape, np.uint16) << 15
    return bits.astype(np.uint16).tobytes()


def write_shard(path, tensors, rng):
    head, size = header(tensors)
    with open(path, "wb") as file:
        file.write(head)
        offset = len(head)
        for name, shape in tensors.items():
            if name.startswith("model.layers.0.") or len(shape) == 1:
                file.seek(offset)
                file.write(random_bytes(rng, shape))
            offset += size_of(shape)
        file.truncate(len(head) + size)


def make(folder, config, seed=0):
    """Writes the checkpoint into `folder` unless it is there; returns the bytes of its weights."""
    folder, tensors = Path(folder), shapes(config)
    total = sum(map(size_of, tensors.values()))
    index = folder / "model.safetensors.index.json"
    if index.exists():
        return total
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    rng, parts, weight_map = np.random.default_rng(seed), shards(tensors), {}
    for number, names in enumerate(parts, 1):
        name = f"model-{number:05}-of-{len(parts):05}.safetensors"
        write_shard(folder / name, {key: tensors[key] for key in names}, rng)
        weight_map.update(dict.fromkeys(names, name))
    index.write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}))
    return total
