"""Writes tests/data/pipeline/nib.json: what transformers computes in float32 for models/nib.

    python tests/pipeline/make_reference.py

"perplexity" is that of the first windows of models/nib/eval/validation.txt (the method is in models/nib/eval/expected.json);
"logits" are those after a prompt, "padded" those of a batch of two rows, padded on the left: the first of the vocabulary.
"""

import json
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

ROOT = Path(__file__).resolve().parents[2]
NIB = ROOT / "models" / "nib"
WINDOW, WINDOWS, SHOWN = 512, 6, 16


def perplexity(model, ids):
    nll, predicted = 0.0, 0
    for begin in range(0, WINDOW * WINDOWS, WINDOW):
        window = torch.tensor([ids[begin : begin + WINDOW]])
        log_probs = model(window).logits[0, :-1].double().log_softmax(-1)
        nll -= log_probs.gather(1, window[0, 1:, None]).sum().item()
        predicted += WINDOW - 1
    nll /= predicted
    return {"window": WINDOW, "windows": WINDOWS, "predicted_tokens": predicted, "nll_per_token": nll, "perplexity": float(torch.tensor(nll).double().exp())}


def padded_logits(model, rows):
    length = max(map(len, rows))
    mask = torch.tensor([[0] * (length - len(row)) + [1] * len(row) for row in rows])
    ids = torch.tensor([[0] * (length - len(row)) + row for row in rows])
    positions = (mask.cumsum(-1) - 1).masked_fill(mask == 0, 1)
    return model(ids, attention_mask=mask, position_ids=positions).logits[:, -1, :SHOWN].tolist()


@torch.no_grad()
def main():
    model = AutoModelForCausalLM.from_pretrained(NIB, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(NIB)
    text = (NIB / "eval" / "validation.txt").read_bytes().decode()
    ids = tokenizer(text, add_special_tokens=False)["input_ids"][: WINDOW * WINDOWS]
    prompt = tokenizer("Once there was a little fox named Bella.")["input_ids"]
    rows = [prompt, prompt[:4]]
    reference = {
        "text_bytes": len(tokenizer.decode(ids, skip_special_tokens=False).encode()),
        "perplexity": perplexity(model, ids),
        "rows": rows,
        "logits": model(torch.tensor([prompt])).logits[0, :, :SHOWN].tolist(),
        "padded": padded_logits(model, rows),
    }
    assert tokenizer.decode(ids, skip_special_tokens=False).encode() == text.encode()[: reference["text_bytes"]]
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in reference.items())
    (ROOT / "tests" / "data" / "pipeline" / "nib.json").write_text("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    main()
