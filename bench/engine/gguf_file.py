"""Writes a Llama checkpoint of safetensors as a GGUF file for llama.cpp, tensor by tensor."""

import json

import gguf
import numpy as np
from safetensors import safe_open

TYPES = {  # of weights, of head and embedding
    "Q4_0": (gguf.GGMLQuantizationType.Q4_0, gguf.GGMLQuantizationType.Q8_0),
    "Q8_0": (gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType.Q8_0),
    "F16": (gguf.GGMLQuantizationType.F16, gguf.GGMLQuantizationType.F16),
}
FILE_TYPES = {"Q4_0": gguf.LlamaFileType.MOSTLY_Q4_0, "Q8_0": gguf.LlamaFileType.MOSTLY_Q8_0, "F16": gguf.LlamaFileType.MOSTLY_F16}
OUTSIDE = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight", "lm_head.weight": "output.weight"}
INSIDE = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def name_in_gguf(name):
    if name in OUTSIDE:
        return OUTSIDE[name]
    layer, _, rest = name.removeprefix("model.layers.").partition(".")
    return f"blk.{layer}.{INSIDE[rest.removesuffix('.weight')]}.weight"


def rotary_order(weight, heads):
    """llama.cpp rotates neighbours, Hugging Face the two halves of a head: the rows of Q and K change places."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def converted(name, weight, config):
    if name.endswith("q_proj.weight"):
        return rotary_order(weight, config["num_attention_heads"])
    if name.endswith("k_proj.weight"):
        return rotary_order(weight, config["num_key_value_heads"])
    return weight


def add_metadata(writer, config, kind):
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(FILE_TYPES[kind])
    writer.add_tokenizer_model("none")  # prompts are token ids


def type_of(name, rank, kind):
    if rank == 1:
        return gguf.GGMLQuantizationType.F32
    weights, outside = TYPES[kind]
    return outside if name in OUTSIDE else weights


def add_tensor(writer, name, weight, config, kind):
    kind_of_tensor = type_of(name, weight.ndim, kind)
    data = gguf.quants.quantize(converted(name, weight.astype(np.float32), config), kind_of_tensor)
    writer.add_tensor(name_in_gguf(name), data, raw_dtype=kind_of_tensor)
    return data.nbytes


def write(checkpoint, path, kind):
    """Writes `path`, with the weights as `kind` (Q4_0, Q8_0, F16), from the directory `checkpoint` unless it is there."""
    if path.exists():
        return
    config = json.loads((checkpoint / "config.json").read_text())
    partial = path.with_suffix(".partial")
    writer = gguf.GGUFWriter(partial, "llama", use_temp_file=True)
    add_metadata(writer, config, kind)
    with safe_open(checkpoint / "model.safetensors", "np") as tensors:
        for name in tensors.keys():
            add_tensor(writer, name, tensors.get_tensor(name), config, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    partial.rename(path)


def bytes_per_token(path):
    """What decoding one token has to read: all tensors but the table of embeddings."""
    return sum(int(tensor.n_bytes) for tensor in gguf.GGUFReader(path).tensors if tensor.name != "token_embd.weight")
