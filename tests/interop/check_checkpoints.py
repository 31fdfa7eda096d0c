"""Exports checkpoints with Nibble, runs the exports with Nibble, and compares with what transformers computes.

    python check_checkpoints.py NIBBLE DIR... [--device REFERENCE] [--weight-format fp32]

A DIR has expected.safetensors beside the checkpoint, or is a folder of such directories. Needs numpy and safetensors only.
"""

import argparse
import tempfile
from pathlib import Path

from checks import CHUNKS, TOLERANCE, Expected, Nibble, Report, masked


def checkpoints(folders):
    for folder in folders:
        if (folder / "expected.safetensors").exists():
            yield folder
            continue
        found = sorted(file.parent for file in folder.glob("*/expected.safetensors"))
        if not found:
            raise SystemExit(f"{folder} has no expected.safetensors, nor has a directory in it")
        yield from found


def check(nibble, folder, weight_format, tolerance):
    """Compares one checkpoint; the report says whether it failed and how far the logits are."""
    expected = Expected(folder)
    report = Report(folder.name)
    with tempfile.TemporaryDirectory(prefix="nibble-interop-") as scratch:
        model = Path(scratch) / "ir"
        nibble.export(folder, model, "--weight-format", weight_format)
        report.close("prompt", nibble.logits(model, expected.prompt), expected.logits, tolerance)
        batch = masked(nibble.logits(model, expected.rows()), expected.mask)
        report.close("left-padded batch", batch, expected.batch_logits, tolerance)
        steps = ",".join(map(str, CHUNKS))
        report.close(f"steps {steps}", nibble.logits(model, expected.prompt, "--chunks", steps), expected.chunk_logits, tolerance)
        report.equal("greedy", nibble.greedy(model, expected.prompt[0], expected.greedy.shape[1]), expected.greedy[0].tolist())
    return report


def attempt(nibble, folder, args):
    """(name, largest difference, failed): a command that fails counts as a failed checkpoint and does not end the run."""
    try:
        report = check(nibble, folder, args.weight_format, args.tolerance)
        return folder.name, report.largest, report.failed
    except SystemExit as error:
        print(error, flush=True)
        return folder.name, float("nan"), True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nibble", type=Path)
    parser.add_argument("checkpoints", type=Path, nargs="+", metavar="DIR")
    parser.add_argument("--device", default="REFERENCE")
    parser.add_argument("--weight-format", default="fp32")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE)
    args = parser.parse_args()
    nibble = Nibble(args.nibble, args.device)
    results = [attempt(nibble, folder, args) for folder in checkpoints(args.checkpoints)]
    if len(results) > 1:
        print(f"\n{'checkpoint':32} max abs difference")
        for name, largest, failed in results:
            print(f"{name:32} {largest:.2e}{'  FAILED' if failed else ''}")
    wrong = sum(failed for _, _, failed in results)
    print(f"{len(results) - wrong} of {len(results)} checkpoints agree with transformers on {args.device}")
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
