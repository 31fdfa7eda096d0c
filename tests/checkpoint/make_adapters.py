"""Writes tiny models with LoRA adapters and what PEFT merges them into, tests/data/checkpoint/adapters/CASE/:

    python make_adapters.py OUT

model.safetensors is the model, adapter_config.json and adapter_model.safetensors what PEFT saves, expected.safetensors the weights that the
adapter changes, in f32.
"""

import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM


def llama(**more):
    config = LlamaConfig(vocab_size=24, hidden_size=16, intermediate_size=40, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, **more)
    return LlamaForCausalLM(config)


def gpt2():
    return GPT2LMHeadModel(GPT2Config(vocab_size=24, n_embd=16, n_layer=1, n_head=2, n_positions=16))


CASES = {
    "lora": (llama, dict(r=4, lora_alpha=12, target_modules=["q_proj", "v_proj"])),
    "patterns": (
        llama,
        dict(
            r=4,
            lora_alpha=8,
            target_modules=["q_proj", "up_proj", "down_proj"],
            rank_pattern={r"layers\.0\..*up_proj": 2, "down_proj": 3},
            alpha_pattern={"model.layers.1.mlp.up_proj": 5, "up_proj": 32},
        ),
    ),
    "rslora": (llama, dict(r=9, lora_alpha=6, use_rslora=True, target_modules="all-linear")),
    "dora": (llama, dict(r=4, lora_alpha=8, use_dora=True, target_modules=["k_proj", "gate_proj"])),
    "conv1d": (gpt2, dict(r=4, lora_alpha=8, fan_in_fan_out=True, target_modules=["c_attn", "c_proj"], bias="lora_only")),
    "conv1d-dora": (gpt2, dict(r=2, lora_alpha=8, fan_in_fan_out=True, use_dora=True, target_modules=["c_attn", "attn.c_proj"])),
    "saved": (llama, dict(r=2, lora_alpha=4, target_modules=["o_proj"], modules_to_save=["lm_head", "input_layernorm"])),
    "embedding": (llama, dict(r=3, lora_alpha=4, target_modules=["embed_tokens", "o_proj"])),
}


def main():
    out = Path(sys.argv[1])
    for name, (make, arguments) in CASES.items():
        torch.manual_seed(len(name))
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        model = make().float()
        plain = {key: value.clone() for key, value in model.state_dict().items()}
        save_file({key: value.contiguous() for key, value in plain.items() if key != "lm_head.weight" or make is llama}, folder / "model.safetensors")
        peft = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", init_lora_weights=False, **arguments))
        for key, value in peft.named_parameters():
            if value.requires_grad and "lora_" not in key:
                value.data += torch.randn_like(value) * 0.1
            if "magnitude" in key:
                value.data *= torch.rand_like(value) + 0.5
        peft.save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)
        merged = peft.merge_and_unload().state_dict()
        changed = {key: value.contiguous() for key, value in merged.items() if not torch.equal(value, plain[key])}
        if make is gpt2:
            changed.pop("lm_head.weight", None)
        save_file(changed, folder / "expected.safetensors")
        print(name, sorted(changed))


if __name__ == "__main__":
    main()
