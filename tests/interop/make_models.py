"""Makes tiny random checkpoints and, with transformers, what a correct engine computes from them.

    python make_models.py --out DIR [--only NAME ...] [--seed 0]

Needs torch and transformers 4.57, so it is not part of the test run: its results are, in tests/data/models. Each directory has
the files the family's authors publish (config.json, generation_config.json, weights) and

    expected.safetensors   input_ids [1,24], logits [1,24,vocab]; greedy_ids [1,16], continuation by full passes, end of sequence
                           ignored; batch_input_ids [2,9] with row 1 left-padded by 4, batch_attention_mask, batch_logits (zeros where
                           the mask is 0). Where rotary frequencies depend on the length (dynamic, longrope) also what the same model
                           computes through its cache: chunk_logits [1,24,vocab] for the steps 16, 4, 1, 1, 1, 1, and greedy_cached_ids.
    expected.json          what the directory exercises, versions, measured spreads, tolerance

Reference: float32, eager attention (but see ATTENTIONS), weights as stored. Seeds are tried until no greedy choice is a near tie.
"""

import argparse
import json
import math
import shutil
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

from model_variants import BASE, FAMILIES, OTHER_BASES, VARIANTS

PROMPT, ANSWER, ROW, PAD = 24, 16, 9, 4
CHUNKS = [16, 4, 1, 1, 1, 1]
DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16, "mixed": torch.bfloat16}
NAMES = {"f32": "float32", "f16": "float16", "bf16": "bfloat16", "mixed": "bfloat16"}
SMALLEST_MARGIN = 0.03
LOGIT_SPREAD = 3.0
GAINS = {"q_proj": 1.5, "q_b_proj": 1.5, "k_proj": 1.5, "o_proj": 1.7, "down_proj": 1.7, "w2": 1.7, "output_linear": 1.7, "lm_head": 3.0}
INPUTS_FIRST = ("experts.gate_up_proj", "experts.down_proj", "c_attn.weight", "c_proj.weight", "c_fc.weight")  # stored as [experts, in, out]
# That of the reference and the one it is compared with, by family: gpt_oss has none but the first, Falcon's eager one adds ALiBi twice.
ATTENTIONS = {"gpt_oss": ("eager", "eager"), "falcon": ("sdpa", "sdpa")}


def published_config(variant):
    """config.json in the form of transformers 4."""
    config = {**OTHER_BASES.get(variant.family, BASE), **FAMILIES[variant.family], "model_type": variant.family, "torch_dtype": NAMES[variant.dtype], **variant.config}
    return {key: value for key, value in config.items() if key not in variant.drop}


def as_version_5(config):
    """The same in the form of transformers 5, which has one rope_parameters object."""
    config = dict(config, transformers_version="5.0.0", dtype=config["torch_dtype"])
    scaling = config.pop("rope_scaling", None) or {"rope_type": "default"}
    config["rope_parameters"] = {**scaling, "rope_theta": config.pop("rope_theta")}
    del config["torch_dtype"]
    return config


def reference_config(variant):
    config = published_config(variant)
    return AutoConfig.for_model(**config)


def is_norm(name):
    return "norm" in name or ".ln_" in name


def random_parameter(name, shape, generator, tied):
    noise = torch.randn(shape, generator=generator)
    if name.endswith(("bias", "sinks")):
        return 0.2 * noise
    if is_norm(name):
        return 1 + 0.12 * noise
    if name.endswith(("embed_tokens.weight", "wte.weight", "wpe.weight")):
        return noise * (0.2 if tied else 0.5)
    gain = GAINS.get(name.removesuffix(".weight").split(".")[-1], 1.0)
    return noise * gain / math.sqrt(shape[-2 if name.endswith(INPUTS_FIRST) else -1])


def stored_type(name, variant):
    if "correction_bias" in name:
        return torch.float32
    return torch.float32 if variant.dtype == "mixed" and "norm" in name else DTYPES[variant.dtype]


def before_logits(model, weights):
    """The weight whose size decides that of the logits: of the output layer or, where that is the table of embeddings, of the last norm."""
    if "lm_head.weight" in weights and not model.config.tie_word_embeddings:
        return "lm_head.weight"
    return [name for name in weights if is_norm(name) and name.endswith("weight")][-1]


def random_weights(model, variant, seed):
    """Weights by name, in the types they are stored in, scaled so that logits have a standard deviation near 3."""
    generator = torch.Generator().manual_seed(seed)
    tied = model.config.tie_word_embeddings
    stored = {**dict(model.named_parameters()), **{name: b for name, b in model.named_buffers() if name in model.state_dict()}}
    weights = {name: random_parameter(name, p.shape, generator, tied) for name, p in stored.items()}
    model.load_state_dict(weights, strict=False)
    model.tie_weights()
    spread = model(prompt_ids(model.config, seed)).logits.std().item()
    weights[before_logits(model, weights)] *= LOGIT_SPREAD / spread
    weights = {name: value.to(stored_type(name, variant)) for name, value in weights.items()}
    if "lm_head" in variant.extras:
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    if "inv_freq" in variant.extras:
        for layer in range(model.config.num_hidden_layers):
            weights[f"model.layers.{layer}.self_attn.rotary_emb.inv_freq"] = model.model.rotary_emb.inv_freq.clone()
    return weights


def random_ids(config, count, generator):
    return torch.randint(5, config.vocab_size, (1, count), generator=generator)


def prompt_ids(config, seed):
    return random_ids(config, PROMPT, torch.Generator().manual_seed(seed + 1))


def padded_batch(config, seed):
    generator = torch.Generator().manual_seed(seed + 2)
    ids = torch.cat([random_ids(config, ROW, generator), random_ids(config, ROW, generator)])
    mask = torch.ones_like(ids)
    ids[1, :PAD] = config.pad_token_id
    mask[1, :PAD] = 0
    return ids, mask


def save_bin(weights, path):
    torch.save(weights, path)


def save_safetensors(weights, path):
    save_file({name: value.contiguous().clone() for name, value in weights.items()}, path, metadata={"format": "pt"})


def save_shards(weights, folder, count, pattern, save):
    names, files = sorted(weights), {}
    for shard in range(count):
        file = pattern.format(shard + 1, count)
        part = {name: weights[name] for name in names[len(names) * shard // count:len(names) * (shard + 1) // count]}
        save(part, folder / file)
        files.update(dict.fromkeys(part, file))
    size = sum(weights[name].nbytes for name in names)
    return {"metadata": {"total_size": size}, "weight_map": {name: files[name] for name in names}}


def save_weights(weights, folder, layout):
    if layout == "safetensors":
        save_safetensors(weights, folder / "model.safetensors")
    elif layout == "bin":
        save_bin(weights, folder / "pytorch_model.bin")
    elif layout == "sharded":
        index = save_shards(weights, folder, 2, "model-{:05}-of-{:05}.safetensors", save_safetensors)
        write_json(folder / "model.safetensors.index.json", index)
    else:
        index = save_shards(weights, folder, 3, "pytorch_model-{:05}-of-{:05}.bin", save_bin)
        write_json(folder / "pytorch_model.bin.index.json", index)


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n")


def save_checkpoint(variant, weights, folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config = published_config(variant)
    write_json(folder / "config.json", as_version_5(config) if variant.form == "v5" else config)
    generation = {key: config[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    write_json(folder / "generation_config.json", {"_from_model_config": True, **generation, "transformers_version": "4.57.6"})
    save_weights(weights, folder, variant.layout)


def attentions(variant):
    return ATTENTIONS.get(variant.family, ("eager", "sdpa"))


def load(variant, folder, attention):
    """The model as transformers reads it from `folder`."""
    return AutoModelForCausalLM.from_pretrained(folder, config=reference_config(variant), dtype=torch.float32,
                                                attn_implementation=attention).eval()


def forget_lengths(model):
    """Rotary embeddings of dynamic type remember the longest sequence seen; every independent run starts anew."""
    if hasattr(model.base_model, "rotary_emb"):
        model.base_model.rotary_emb = type(model.base_model.rotary_emb)(model.config)


def full_pass(model, ids, **more):
    forget_lengths(model)
    return model(ids, use_cache=False, **more).logits


def batch_pass(model, ids, mask):
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    logits = full_pass(model, ids, attention_mask=mask, position_ids=positions)
    return logits * mask[..., None]


def cached_pass(model, ids, chunks):
    forget_lengths(model)
    cache = transformers.DynamicCache()
    steps = ids.split(chunks, dim=1)
    return torch.cat([model(step, past_key_values=cache, use_cache=True).logits for step in steps], dim=1)


def smallest_margin(logits):
    best = logits.topk(2, dim=-1).values
    return (best[..., 0] - best[..., 1]).min().item()


def greedy_full(model, ids):
    margins = []
    for _ in range(ANSWER):
        logits = full_pass(model, ids)[:, -1]
        margins.append(smallest_margin(logits))
        ids = torch.cat([ids, logits.argmax(-1, keepdim=True)], dim=1)
    return ids[:, PROMPT:], min(margins)


def greedy_cached(model, ids):
    forget_lengths(model)
    cache, margins, made, step = transformers.DynamicCache(), [], [], ids
    for _ in range(ANSWER):
        logits = model(step, past_key_values=cache, use_cache=True).logits[:, -1]
        margins.append(smallest_margin(logits))
        step = logits.argmax(-1, keepdim=True)
        made.append(step)
    return torch.cat(made, dim=1), min(margins)


def expect(variant, model, other, seed):
    """The tensors of expected.safetensors and the measured spreads."""
    ids = prompt_ids(model.config, seed)
    batch_ids, mask = padded_batch(model.config, seed)
    logits, batch_logits = full_pass(model, ids), batch_pass(model, batch_ids, mask)
    greedy, margin = greedy_full(model, ids)
    cached, cached_margin = greedy_cached(model, ids)
    chunked = cached_pass(model, ids, CHUNKS)
    tensors = {"input_ids": ids, "logits": logits, "greedy_ids": greedy, "batch_input_ids": batch_ids,
               "batch_attention_mask": mask, "batch_logits": batch_logits}
    if variant.length_dependent:
        tensors.update(chunk_logits=chunked, greedy_cached_ids=cached)
    elif not torch.equal(cached, greedy):
        raise RuntimeError(f"{variant.name}: the cached answer differs from that of full passes")
    measured = {
        "logits_std": round(logits.std().item(), 3), "logits_abs_max": round(logits.abs().max().item(), 3),
        "min_top1_margin_prompt": round(smallest_margin(logits), 5), "min_top1_margin_greedy": round(min(margin, cached_margin), 5),
        "distinct_greedy_ids": len(set(greedy[0].tolist())),
        "padded_row_vs_unpadded_max_abs_diff": (batch_logits[1:, PAD:] - full_pass(model, batch_ids[1:, PAD:])).abs().max().item(),
        "cached_decode_vs_full_max_abs_diff": (chunked - logits).abs().max().item(),
        "eager_vs_sdpa_max_abs_diff": (full_pass(other, ids) - logits).abs().max().item()}
    return {name: value.contiguous() for name, value in tensors.items()}, measured


def description(variant, seed, measured):
    tensors = {
        "input_ids": "[1,24] prompt", "logits": "[1,24,vocab] of the prompt", "batch_input_ids": "[2,9], row 1 left-padded by 4",
        "batch_attention_mask": "[2,9]",
        "batch_logits": "[2,9,vocab]; compare only where the mask is 1 (zeros elsewhere); positions are cumsum(mask)-1",
        "greedy_ids": "[1,16] greedy continuation of the prompt by full passes, end-of-sequence ignored"}
    if variant.length_dependent:
        tensors["chunk_logits"] = f"[1,24,vocab] of the prompt fed through the cache in steps of {CHUNKS}: keys stay as first rotated"
        tensors["greedy_cached_ids"] = "[1,16] greedy continuation through the cache"
    return {
        "family": variant.family, "variant": variant.name, "exercises": variant.exercises, "seed": seed,
        "reference": f"transformers in float32, {attentions(variant)[0]} attention, weights as stored",
        "versions": {"transformers": transformers.__version__, "torch": torch.__version__, "numpy": np.__version__},
        "stored": {"dtype": variant.dtype, "layout": variant.layout}, "length_dependent": variant.length_dependent,
        "tensors": tensors, "measured": measured,
        "tolerance": {"float32_engine_max_abs_diff": 0.0001, "advice": "absolute, on logits; greedy ids must match exactly in float32"}}


def attempt(variant, folder, seed):
    model = AutoModelForCausalLM.from_config(reference_config(variant), dtype=torch.float32, attn_implementation=attentions(variant)[0]).eval()
    save_checkpoint(variant, random_weights(model, variant, seed), folder)
    reference, other = attentions(variant)
    return expect(variant, load(variant, folder, reference), load(variant, folder, other), seed)


def make(variant, folder, seed):
    for trial in range(seed, seed + 4000, 100):
        tensors, measured = attempt(variant, folder, trial)
        if measured["min_top1_margin_greedy"] > SMALLEST_MARGIN and measured["distinct_greedy_ids"] > 4:
            save_file(tensors, folder / "expected.safetensors")
            write_json(folder / "expected.json", description(variant, trial, measured))
            return measured
    raise RuntimeError(f"{variant.name}: every seed gives near ties")


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=[variant.name for variant in VARIANTS], metavar="NAME")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    for variant in VARIANTS:
        if args.only is None or variant.name in args.only:
            measured = make(variant, args.out / variant.name, args.seed)
            size = sum(file.stat().st_size for file in (args.out / variant.name).iterdir())
            print(f"{variant.name:28} {size // 1024:4} KB  margin {measured['min_top1_margin_greedy']:.3f}  std {measured['logits_std']:.2f}  "
                  f"cached {measured['cached_decode_vs_full_max_abs_diff']:.1e}  sdpa {measured['eager_vs_sdpa_max_abs_diff']:.1e}", flush=True)


if __name__ == "__main__":
    main()
