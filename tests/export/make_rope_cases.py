"""Writes tests/data/export/rope.json: rotary frequencies as transformers 4.57 computes them.

    python tests/export/make_rope_cases.py

Each case has the part of a config.json that matters, head_dim and max_position_embeddings, and what
transformers.modeling_rope_utils.ROPE_INIT_FUNCTIONS gives for it: inverse frequencies (for longrope also the long ones, for dynamic
those of longer sequences) and the factor of cos and sin. Cases in the form of transformers 5 (rope_parameters) carry the numbers of the
same parameters in the older form.
"""

import json
from pathlib import Path

from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}


def yarn(**more):
    return {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32, **more}


def longrope(**more):
    return {"rope_type": "longrope", "short_factor": [1 + 0.05 * i for i in range(8)], "long_factor": [1 + 0.9 * i for i in range(8)], **more}


CASES = {
    "default": {},
    "default_theta": {"rope_theta": 1000000.0},
    "default_partial": {"partial_rotary_factor": 0.5},
    "default_named": {"rope_scaling": {"rope_type": "default"}},
    "linear": {"rope_scaling": {"rope_type": "linear", "factor": 2.5}},
    "linear_legacy_key": {"rope_scaling": {"type": "linear", "factor": 4.0}},
    "llama3": {"rope_scaling": LLAMA3, "rope_theta": 500000.0},
    "llama3_other_bounds": {"rope_scaling": {**LLAMA3, "factor": 32.0, "low_freq_factor": 2.0, "high_freq_factor": 8.0}},
    "yarn": {"rope_scaling": yarn()},
    "yarn_factor_below_one": {"rope_scaling": yarn(factor=0.5)},
    "yarn_no_original": {"rope_scaling": {"rope_type": "yarn", "factor": 8.0}},
    "yarn_attention_factor": {"rope_scaling": yarn(attention_factor=0.8)},
    "yarn_mscale_both": {"rope_scaling": yarn(mscale=0.707, mscale_all_dim=1.4)},
    "yarn_mscale_alone": {"rope_scaling": yarn(mscale=2.0)},
    "yarn_not_truncated": {"rope_scaling": yarn(truncate=False)},
    "yarn_beta": {"rope_scaling": yarn(beta_fast=4.0, beta_slow=0.25)},
    "yarn_beta_not_truncated": {"rope_scaling": yarn(beta_fast=4.0, beta_slow=0.5, truncate=False)},
    "yarn_narrow_range": {"rope_scaling": yarn(beta_fast=0.001, beta_slow=0.001)},
    "yarn_partial": {"rope_scaling": yarn(), "partial_rotary_factor": 0.5},
    "longrope_original_at_top": {"rope_scaling": longrope(), "original_max_position_embeddings": 32},
    "longrope_original_at_top_beats_factor": {"rope_scaling": longrope(factor=99.0), "original_max_position_embeddings": 32},
    "longrope_factor": {"rope_scaling": longrope(factor=4.0)},
    "longrope_original_in_scaling_is_ignored": {"rope_scaling": longrope(factor=4.0, original_max_position_embeddings=32)},
    "longrope_attention_factor": {"rope_scaling": longrope(attention_factor=1.25), "original_max_position_embeddings": 32},
    "dynamic": {"rope_scaling": {"rope_type": "dynamic", "factor": 3.0}},
}
# Same parameters as rope_parameters; the original length of longrope moves inside.
AS_ROPE_PARAMETERS = ["default_theta", "linear", "llama3", "yarn", "yarn_mscale_both", "longrope_original_at_top", "longrope_factor", "dynamic"]
DYNAMIC_LENGTHS = [64, 128, 129, 200, 1000]
HEAD_DIM, MAX_POSITIONS = 16, 128


def reference(fields, seq_len=None):
    config = LlamaConfig(hidden_size=64, num_attention_heads=4, max_position_embeddings=MAX_POSITIONS, **json.loads(json.dumps(fields)))
    scaling = config.rope_scaling or {"rope_type": "default"}
    return ROPE_INIT_FUNCTIONS[scaling.get("rope_type", scaling.get("type"))](config, "cpu", seq_len=seq_len)


def expectation(fields):
    frequencies, attention_factor = reference(fields)
    case = {"inverse_frequencies": frequencies.tolist(), "attention_factor": attention_factor}
    kind = (fields.get("rope_scaling") or {}).get("rope_type")
    if kind == "longrope":
        limit = fields.get("original_max_position_embeddings", MAX_POSITIONS)
        case.update(switch_length=limit, long_inverse_frequencies=reference(fields, limit + 1)[0].tolist())
    if kind == "dynamic":
        case["by_length"] = {str(length): reference(fields, length)[0].tolist() for length in DYNAMIC_LENGTHS}
    return case


def as_rope_parameters(fields):
    parameters = {"rope_type": "default", **fields.get("rope_scaling", {}), "rope_theta": fields.get("rope_theta", 10000.0)}
    if "original_max_position_embeddings" in fields:
        parameters["original_max_position_embeddings"] = fields["original_max_position_embeddings"]
    return {"rope_parameters": parameters}


def main():
    cases = []
    for name, fields in CASES.items():
        cases.append({"name": name, "config": fields, **expectation(fields)})
    for name in AS_ROPE_PARAMETERS:
        cases.append({"name": name + "_v5", "config": as_rope_parameters(CASES[name]), **expectation(CASES[name])})
    path = Path(__file__).resolve().parent.parent / "data" / "export" / "rope.json"
    path.write_text(json.dumps({"head_dim": HEAD_DIM, "max_positions": MAX_POSITIONS, "cases": cases}, indent=1) + "\n")


if __name__ == "__main__":
    main()
