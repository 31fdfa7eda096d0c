"""Exports checkpoints much larger than memory should have to be: the shapes of Llama 70B and Mixtral 8x7B, 30 GB each of which 3 GB take
disk, to 4 bits. Says whether memory stays within what it may take, and how long it takes beside reading and writing the same bytes.

Memory is sampled 20 times a second: `anonymous` is what the process allocated, `mapped` pages of files that it looks at. Both together may
take twice the largest tensor of the checkpoint and 500 MB. `read + write` is the time in which this machine reads all files of the checkpoint
(into one thread, block by block) and writes a file as large as the result, in the same run.
"""

import argparse
import shutil
import sys
from pathlib import Path

import measure
import sparse_checkpoint

WORK = measure.ROOT / "build" / "bench" / "export-scale"
COMPRESSION = ["--weight-format", "int4", "--sym", "--group-size", "128"]
ALLOWED_BESIDE_MB = 500


def largest_tensor_mb(config):
    return max(map(sparse_checkpoint.size_of, sparse_checkpoint.shapes(config).values())) / 1e6


def weight_files(folder):
    return sorted(folder.glob("*.safetensors"))


def export(binary, folder, output):
    command = [binary, "export", folder, output, *COMPRESSION]
    return measure.run(command, output, WORK / "nibble.log", inputs=weight_files(folder))


def disk_seconds(folder, result_bytes):
    read = sum(map(measure.read_seconds, weight_files(folder)))
    return read, measure.write_seconds(WORK / "written", result_bytes)


def measure_model(binary, name, keep):
    config, folder = sparse_checkpoint.MODELS[name], WORK / name
    total = sparse_checkpoint.make(folder, config)
    result = export(binary, folder, WORK / "output")
    shutil.rmtree(WORK / "output")
    read, write = disk_seconds(folder, result.bin_bytes)
    if not keep:
        shutil.rmtree(folder)
    return {"name": name, "input_gb": total / 1e9, "run": result, "read": read, "write": write,
            "allowed_mb": 2 * largest_tensor_mb(config) + ALLOWED_BESIDE_MB}


def table(rows):
    print(f"{'':14} {'read GB':>8} {'written GB':>11} {'seconds':>8} {'cpu s':>7} {'read+write s':>13} {'of that':>8} "
          f"{'anonymous MB':>13} {'mapped MB':>10} {'total MB':>9} {'allowed MB':>11}")
    for row in rows:
        run, limit = row["run"], row["read"] + row["write"]
        print(f"{row['name']:14} {row['input_gb']:8.1f} {run.bin_bytes / 1e9:11.2f} {run.seconds:8.1f} {run.cpu_seconds:7.1f} {limit:13.1f} "
              f"{limit / run.seconds:8.0%} {run.anonymous_mb:13.0f} {run.mapped_mb:10.0f} {run.total_mb:9.0f} {row['allowed_mb']:11.0f}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nibble", type=Path, default=measure.ROOT / "build" / "release" / "bin" / "nibble")
    parser.add_argument("--only", choices=list(sparse_checkpoint.MODELS))
    parser.add_argument("--keep", action="store_true", help="leave the checkpoints for the next run")
    return parser.parse_args()


def main():
    args = arguments()
    measure.warn_if_busy()
    WORK.mkdir(parents=True, exist_ok=True)
    rows = [measure_model(args.nibble, name, args.keep) for name in sparse_checkpoint.MODELS if args.only in (None, name)]
    table(rows)
    over = [row["name"] for row in rows if row["run"].total_mb * 1.048576 > row["allowed_mb"]]
    if over:
        sys.exit(f"more memory than allowed: {', '.join(over)}")


if __name__ == "__main__":
    main()
