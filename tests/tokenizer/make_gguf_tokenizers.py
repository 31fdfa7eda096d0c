"""Writes tests/data/tokenizer/gguf: the tokenizers beside it as llama.cpp's conversion would put them into the metadata of a GGUF file.

Run with gguf and sentencepiece installed: python tests/tokenizer/make_gguf_tokenizers.py
"""

import json
import pathlib

import gguf
import sentencepiece

DATA = pathlib.Path(__file__).resolve().parent.parent / "data" / "tokenizer"
OUT = DATA / "gguf"
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)


def special_ids(writer, folder, ids):
    config = json.loads((folder / "tokenizer_config.json").read_text())
    for name, add in (("bos", writer.add_bos_token_id), ("eos", writer.add_eos_token_id), ("unk", writer.add_unk_token_id)):
        token = config.get(name + "_token")
        token = token["content"] if isinstance(token, dict) else token
        if token in ids:
            add(ids[token])


def byte_level(name, pre):
    folder = DATA / name
    document = json.loads((folder / "tokenizer.json").read_text())
    ids = dict(document["model"]["vocab"])
    ids.update({token["content"]: token["id"] for token in document["added_tokens"]})
    kinds = {token["id"]: CONTROL if token["special"] else USER_DEFINED for token in document["added_tokens"]}
    texts = {number: text for text, number in ids.items()}
    count = max(texts) + 1
    writer = gguf.GGUFWriter(OUT / f"{name}.gguf", "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list([texts.get(i, f"[PAD{i}]") for i in range(count)])
    writer.add_token_types([kinds.get(i, NORMAL if i in texts else UNUSED) for i in range(count)])
    merges = document["model"]["merges"]
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges])
    special_ids(writer, folder, ids)
    finish(writer)


def pieces(name):
    folder = DATA / name
    model = sentencepiece.SentencePieceProcessor(str(folder / "tokenizer.model"))
    tests = ((model.IsUnknown, UNKNOWN), (model.IsControl, CONTROL), (model.IsUnused, UNUSED), (model.IsByte, BYTE))
    count = model.vocab_size()
    texts = [model.IdToPiece(i) for i in range(count)]
    kinds = [next((kind for test, kind in tests if test(i)), NORMAL) for i in range(count)]
    scores = [model.GetScore(i) for i in range(count)]
    for token in sorted(json.loads((folder / "tokenizer.json").read_text())["added_tokens"], key=lambda token: token["id"]):
        if token["id"] >= count:
            texts.append(token["content"])
            kinds.append(CONTROL if token["special"] else USER_DEFINED)
            scores.append(-1000.0)
        elif token["special"]:
            kinds[token["id"]] = kinds[token["id"]] if kinds[token["id"]] == UNKNOWN else CONTROL
        else:
            kinds[token["id"]] = USER_DEFINED
    writer = gguf.GGUFWriter(OUT / f"{name}.gguf", "llama")
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(texts)
    writer.add_token_scores(scores)
    writer.add_token_types(kinds)
    special_ids(writer, folder, {text: i for i, text in enumerate(texts)})
    finish(writer)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def main():
    OUT.mkdir(exist_ok=True)
    for name, pre in (("gpt2", "gpt-2"), ("llama3", "llama-bpe"), ("qwen2", "qwen2")):
        byte_level(name, pre)
    pieces("llama2")


if __name__ == "__main__":
    main()
