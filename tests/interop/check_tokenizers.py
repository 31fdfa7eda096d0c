"""Tokenizers that nibble writes as OpenVINO IR, run by OpenVINO with its tokenizers extension and by OpenVINO GenAI: ids and texts have to
be those of transformers, which the cases beside the tokenizer hold.

Takes a tokenizer's directory with its cases.jsonl, or a directory of single parts (NAME.json with NAME.cases.jsonl).
"""

import argparse
import json
import shutil
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
from checks import Nibble, Report, quiet_openvino

quiet_openvino()
import openvino as ov  # noqa: E402
import openvino_genai as genai  # noqa: E402
import openvino_tokenizers  # noqa: E402, F401

REPLACEMENT = "\ufffd"
CHAT_TEMPLATE = "{% for m in messages %}{{ bos_token }}[{{ m.role }}]\n{{ m.content | trim }}{% endfor %}"
# What docs/tokenizers.md says no operation can do.
REFUSED = {"decoder-ctc", "decoder-ctc-noclean", "decoder-ctc-other", "model-bpe-prefix-suffix", "pre_tokenizer-unicode-scripts"}


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def comparable(text):
    """The Python binding loses a NUL at the end, and the operations for normal forms do not put combining marks in order."""
    marks = [unicodedata.category(c).startswith("M") for c in text]
    return not text.endswith("\0") and not any(a and b for a, b in zip(marks, marks[1:]))


class Ir:
    """The written IR in OpenVINO's CPU plug-in."""

    def __init__(self, folder):
        core = ov.Core()
        self.tokenizer = core.compile_model(str(folder / "openvino_tokenizer.xml"), "CPU")
        self.detokenizer = core.compile_model(str(folder / "openvino_detokenizer.xml"), "CPU")

    def encode(self, text):
        return self.tokenizer([text])["input_ids"][0].tolist()

    def decode(self, ids):
        return str(self.detokenizer(np.array([ids], dtype=np.int64))["string_output"][0])


def compare(report, what, pairs):
    wrong = [(given, got, expected) for given, got, expected in pairs if got != expected]
    report.line(not wrong, f"{what}: {len(pairs) - len(wrong)} of {len(pairs)}")
    for given, got, expected in wrong[:3]:
        print(f"            {given!a}: {got!a}, expected {expected!a}"[:300])


def check_style(report, folder, cases):
    cases = [case for case in cases if comparable(case["text"])]
    decodable = [case for case in cases if case["ids"] and REPLACEMENT not in case["decoded"] + case["text"]]
    ir, tokenizer = Ir(folder), genai.Tokenizer(str(folder))
    compare(report, "OpenVINO, ids", [(c["text"], ir.encode(c["text"]), c["ids"]) for c in cases])
    compare(report, "OpenVINO, texts", [(c["ids"], ir.decode(c["ids"]), c["decoded"]) for c in decodable])
    # GenAI warns that empty texts sporadically fail.
    texts = [case for case in cases if case["text"]]
    for key, special in (("ids", True), ("ids_plain", False)):
        got = [tokenizer.encode(c["text"], add_special_tokens=special).input_ids.data[0].tolist() for c in texts]
        compare(report, f"GenAI, {key}", [(c["text"], ids, c[key]) for c, ids in zip(texts, got)])
    for key, skip in (("decoded", True), ("decoded_special", False)):
        got = [tokenizer.decode(c["ids"], skip_special_tokens=skip) for c in decodable]
        compare(report, f"GenAI, {key}", [(c["ids"], text, c[key]) for c, text in zip(decodable, got)])
    check_batch(report, tokenizer, [c for c in texts if len(c["text"]) < 40][:8])
    check_chat(report, tokenizer)


def check_batch(report, tokenizer, cases):
    """Padded on the left, as generation needs it."""
    batch = tokenizer.encode([case["text"] for case in cases])
    rows = [ids[mask == 1].tolist() for ids, mask in zip(batch.input_ids.data, batch.attention_mask.data)]
    compare(report, "GenAI, rows of a batch", [(c["text"], row, c["ids"]) for c, row in zip(cases, rows)])
    report.equal("GenAI, last tokens that are no padding", batch.attention_mask.data[:, -1].tolist(), [1] * len(cases))


def check_chat(report, tokenizer):
    messages = [{"role": "user", "content": " Hello "}, {"role": "assistant", "content": "Hi"}]
    text = tokenizer.apply_chat_template(messages, add_generation_prompt=False)
    bos = tokenizer.get_bos_token()
    report.equal("GenAI, chat template", text, f"{bos}[user]\nHello{bos}[assistant]\nHi")


def check_part(nibble, file, cases, root):
    """The wrong cases of one part; None where it is refused."""
    model, out = root / "model", root / "out"
    for folder in (model, out):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    shutil.copy(file, model / "tokenizer.json")
    try:
        nibble.run("convert-tokenizer", model, out)
    except SystemExit as failure:
        return None if "has no operation for" in str(failure) else [str(failure)]
    ir, wrong = Ir(out), []
    for case in cases:
        alone = "encoding" in case and "pair" not in case and case.get("add_special_tokens", True)
        if alone and case["text"] and comparable(case["text"]):
            got, expected = ir.encode(case["text"]), case["encoding"]["ids"]
            wrong += [] if got == expected else [f"{case['text']!a}: {got}, expected {expected}"]
        if case.get("ids") and "tokens" in case and REPLACEMENT not in case.get("decoded", REPLACEMENT):
            got, expected = ir.decode(case["ids"]), case["decoded"]
            wrong += [] if got == expected or case["tokens"][0].startswith("##") else [f"{case['tokens']!a}: {got!a}, expected {expected!a}"]
    return wrong


def check_parts(report, nibble, directory, root):
    refused = set()
    for cases in sorted(directory.glob("*.cases.jsonl")):
        name = cases.name.removesuffix(".cases.jsonl")
        if name.startswith(("padding", "truncation")):
            continue
        wrong = check_part(nibble, directory / f"{name}.json", lines(cases), root)
        if wrong is None:
            refused.add(name)
        else:
            report.line(not wrong, name + "".join("\n            " + text[:300] for text in wrong[:3]))
    report.equal("refused", sorted(refused), sorted(REFUSED))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nibble", type=Path)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--source", type=Path, help="what to convert, where it is not the directory: a GGUF file")
    args = parser.parse_args()
    nibble = Nibble(args.nibble)
    report = Report(f"tokenizer IR of {(args.source or args.directory).name}")
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        if not (args.directory / "cases.jsonl").exists():
            check_parts(report, nibble, args.directory, root)
        else:
            source, out = args.source or root / "model", root / "out"
            if not args.source:
                shutil.copytree(args.directory, source)
            nibble.run("convert-tokenizer", source, out, "--left-padding")
            (out / "chat_template.jinja").write_text(CHAT_TEMPLATE)
            check_style(report, out, lines(args.directory / "cases.jsonl"))
    report.finish()


if __name__ == "__main__":
    main()
