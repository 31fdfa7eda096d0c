"""What the checks share: running the nibble command, the expected values of a checkpoint, and a report that ends in an exit code."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

# Steps in which the 24 tokens of a prompt go through the cache; chunk_logits of expected.safetensors was made with the same.
CHUNKS = [16, 4, 1, 1, 1, 1]
# Two float32 engines differ by about 1e-5 on these models; a wrong rotation, mask or norm by more than 0.1.
TOLERANCE = 1e-3
TIMEOUT_SECONDS = 300


class Expected:
    """expected.safetensors of a checkpoint: see make_models.py."""

    def __init__(self, checkpoint):
        tensors = load_file(Path(checkpoint) / "expected.safetensors")
        self.prompt, self.logits = tensors["input_ids"], tensors["logits"]
        self.batch, self.mask, self.batch_logits = (tensors["batch_" + name] for name in ("input_ids", "attention_mask", "logits"))
        # Through a cache, keys stay as they were rotated: where frequencies depend on the length, that is another result.
        self.chunk_logits = tensors.get("chunk_logits", self.logits)
        self.greedy = tensors.get("greedy_cached_ids", tensors["greedy_ids"])

    def rows(self):
        """The batch as `--ids` takes it: rows without their padding."""
        return [row[mask == 1] for row, mask in zip(self.batch, self.mask)]


class Nibble:
    """The command under test."""

    def __init__(self, binary, device="REFERENCE"):
        self.binary, self.device = str(binary), device

    def run(self, *arguments):
        command = [self.binary, *map(str, arguments)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
        if done.returncode != 0:
            raise SystemExit(f"FAILED (exit code {done.returncode}): {' '.join(command)}\n{done.stderr.strip()}")
        return done.stdout

    def export(self, checkpoint, out, *options):
        self.run("export", checkpoint, out, *options)

    def logits(self, model, rows, *options):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "logits.safetensors"
            self.run("logits", model, "--ids", ids_text(rows), "--out", file, "--device", self.device, *options)
            return load_file(file)["logits"]

    def greedy(self, model, ids, count):
        answer = json.loads(self.run("generate", model, "--ids", ids_text([ids]), "--max-new-tokens", count, "--ignore-eos",
                                     "--device", self.device, "--json"))
        return answer["ids"][0]


def ids_text(rows):
    return ";".join(",".join(str(token) for token in row) for row in rows)


class Report:
    """Lines of what was compared; finish() gives the process its exit code."""

    def __init__(self, title):
        self.failed, self.largest = False, 0.0
        print(title)

    def line(self, right, text):
        self.failed |= not right
        print(("  ok      " if right else "  FAILED  ") + text, flush=True)

    def close(self, what, got, expected, tolerance=TOLERANCE):
        if got.shape != expected.shape:
            self.line(False, f"{what}: shape {list(got.shape)}, expected {list(expected.shape)}")
            return
        difference = float(np.max(np.abs(got - expected))) if np.isfinite(got).all() else float("nan")
        self.largest = max(self.largest, difference)
        self.line(difference <= tolerance, f"{what}: max abs difference {difference:.2e}, tolerance {tolerance:.0e}")

    def equal(self, what, got, expected):
        self.line(got == expected, f"{what}: {got}" if got == expected else f"{what}: {got}, expected {expected}")

    def finish(self):
        sys.stdout.flush()
        sys.exit(1 if self.failed else 0)


def masked(logits, mask):
    """Logits with what the padding gives set to zero, as batch_logits has it."""
    return logits * mask[..., None]


def arguments(description):
    """The command line of a check: a checkpoint, and either the binary that exports it or a directory with its export."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, help="a directory with expected.safetensors")
    parser.add_argument("--nibble", type=Path, help="the nibble binary")
    parser.add_argument("--ir", type=Path, help="a directory with the checkpoint's export, instead of exporting it now")
    parser.add_argument("--options", default="", help="options of nibble export, in one word: '--weight-format int4'")
    args = parser.parse_args()
    if (args.nibble is None) == (args.ir is None):
        parser.error("give --nibble or --ir")
    return args


class Exported:
    """A directory with the export of a checkpoint; removed at the end if it was made here."""

    def __init__(self, args):
        self.args, self.temporary = args, None

    def __enter__(self):
        if self.args.ir:
            return self.args.ir
        self.temporary = tempfile.TemporaryDirectory(prefix="nibble-interop-")
        out = Path(self.temporary.name) / "ir"
        Nibble(self.args.nibble).export(self.args.checkpoint, out, *self.args.options.split())
        return out

    def __exit__(self, *_):
        if self.temporary:
            self.temporary.cleanup()


def quiet_openvino():
    """No telemetry from tests; to be called before OpenVINO is imported."""
    os.environ.setdefault("OPENVINO_TELEMETRY_OPT_OUT", "1")
