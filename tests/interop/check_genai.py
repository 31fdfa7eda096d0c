"""openvino_genai.LLMPipeline on a checkpoint's export, with both of its back ends, has to give the greedy answer of transformers.

Where scores are capped attention is written out, which OpenVINO has no paged form of: these run with one back end.
"""

import json

from checks import Expected, Exported, Report, arguments, quiet_openvino

quiet_openvino()
import openvino as ov  # noqa: E402
import openvino_genai as genai  # noqa: E402

EXACT = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0}


def greedy(pipeline, inputs, count):
    return pipeline.generate(inputs, max_new_tokens=count, ignore_eos=True, do_sample=False, apply_chat_template=False).tokens


def check_back_end(report, folder, name, expected):
    pipeline = genai.LLMPipeline(str(folder), "CPU", ATTENTION_BACKEND=name, **EXACT)
    answer = greedy(pipeline, ov.Tensor(expected.prompt), expected.greedy.shape[1])
    report.equal(f"{name}, answer to the prompt", answer, expected.greedy.tolist())
    batch = genai.TokenizedInputs(ov.Tensor(expected.batch), ov.Tensor(expected.mask))
    first = [[int(row[-1].argmax())] for row in expected.batch_logits]
    report.equal(f"{name}, next token of each row of the padded batch", greedy(pipeline, batch, 1), first)


def main():
    args = arguments(__doc__)
    expected = Expected(args.checkpoint)
    report = Report(f"openvino_genai on the export of {args.checkpoint.name} {args.options}")
    with Exported(args) as folder:
        capped = json.loads((args.checkpoint / "config.json").read_text()).get("attn_logit_softcapping") is not None
        for name in ("SDPA",) if capped else ("SDPA", "PA"):
            check_back_end(report, folder, name, expected)
    report.finish()


if __name__ == "__main__":
    main()
