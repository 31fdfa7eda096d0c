"""Exports one model to 4-bit OpenVINO IR with nibble and with optimum-cli, in the same run on the same machine.

Before each run the checkpoint is dropped from the page cache, so both read it from the disk, and a run ends when its result is on
the disk. Memory is sampled 20 times a second over the command and its children: `anonymous` is what the processes allocated
(RssAnon + RssShmem), `mapped` pages of files (RssFile), which the kernel may take back at any time. `disk` is what the machine
could do at best: read the checkpoint and write the result.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import random_checkpoint

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "build" / "bench" / "export"
SAMPLES_PER_SECOND = 20
BLOCK = 8 << 20
COMPRESSION = ["--weight-format", "int4", "--sym", "--group-size", "128", "--ratio", "1.0"]


@dataclass
class Run:
    seconds: float
    cpu_seconds: float
    anonymous_mb: float
    mapped_mb: float
    total_mb: float
    bin_bytes: int


def children_of(pid):
    """The process and all its descendants that are alive."""
    pids = [pid]
    for parent in pids:
        try:
            for task in Path(f"/proc/{parent}/task").iterdir():
                pids.extend(map(int, (task / "children").read_text().split()))
        except OSError:
            continue
    return pids


def resident_mb(pid):
    """(anonymous, mapped) of one process; zero when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0, 0.0
    kilobytes = {name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines) if name.startswith("Rss")}
    return (kilobytes.get("RssAnon", 0) + kilobytes.get("RssShmem", 0)) / 1024, kilobytes.get("RssFile", 0) / 1024


def watch(process):
    """Peaks of (anonymous, mapped, their sum) over the process tree until it ends."""
    peaks = [0.0, 0.0, 0.0]
    while process.poll() is None:
        sizes = [resident_mb(pid) for pid in children_of(process.pid)]
        anonymous, mapped = (sum(column) for column in zip(*sizes))
        peaks = [max(pair) for pair in zip(peaks, (anonymous, mapped, anonymous + mapped))]
        time.sleep(1 / SAMPLES_PER_SECOND)
    return peaks


def cpu_seconds():
    """Processor time of the children that have ended, and of theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(command, out, log, environment=None, inputs=(WORK / "checkpoint" / "model.safetensors",)):
    shutil.rmtree(out, ignore_errors=True)
    for file in inputs:
        drop_from_cache(file)
    start, start_cpu = time.monotonic(), cpu_seconds()
    with open(log, "w") as output:
        process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                   env={**os.environ, **(environment or {})})
        peaks = watch(process)
    for file in out.glob("*.bin"):
        flush(file)
    seconds = time.monotonic() - start
    if process.returncode != 0:
        tail = "\n".join(Path(log).read_text(errors="replace").splitlines()[-20:])
        sys.exit(f"{tail}\nfailed with exit code {process.returncode}: {' '.join(map(str, command))}\nall of its output: {log}")
    return Run(seconds, cpu_seconds() - start_cpu, *peaks, (out / "openvino_model.bin").stat().st_size)


def run_nibble(binary):
    return run([binary, "export", WORK / "checkpoint", WORK / "nibble", *COMPRESSION], WORK / "nibble", WORK / "nibble.log")


def run_optimum():
    command = [Path(sys.executable).parent / "optimum-cli", "export", "openvino", "--model", WORK / "checkpoint", "--task",
               "text-generation-with-past", *COMPRESSION, "--disable-convert-tokenizer", WORK / "optimum"]
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "NNCF_CI": "1", "OPENVINO_TELEMETRY_OPT_OUT": "1"}
    return run(command, WORK / "optimum", WORK / "optimum.log", offline)


def flush(path):
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def drop_from_cache(path):
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_seconds(path):
    drop_from_cache(path)
    start = time.monotonic()
    with open(path, "rb", buffering=0) as file:
        block = bytearray(BLOCK)
        while file.readinto(block):
            pass
    return time.monotonic() - start


def write_seconds(path, size):
    block = os.urandom(BLOCK)
    start = time.monotonic()
    with open(path, "wb", buffering=0) as file:
        for at in range(0, size, BLOCK):
            file.write(block[:min(BLOCK, size - at)])
        os.fsync(file.fileno())
    seconds = time.monotonic() - start
    path.unlink()
    return seconds


def disk_seconds(output_size):
    """What reading the checkpoint and writing a file as large as the result take: (read, write)."""
    return read_seconds(WORK / "checkpoint" / "model.safetensors"), write_seconds(WORK / "written", output_size)


def median(runs):
    return Run(*(statistics.median(values) for values in zip(*(asdict(one).values() for one in runs))))


def line(name, seconds, share, result=None):
    memory = f"{result.cpu_seconds:8.1f} {result.anonymous_mb:10.0f} {result.mapped_mb:10.0f} {result.total_mb:10.0f} {result.bin_bytes / 1e6:12.1f}" if result else ""
    print(f"{name:12} {seconds:9.2f} {share:8.0%} {memory}")


def table(results, limit):
    print(f"{'':12} {'seconds':>9} {'of disk':>8} {'cpu s':>8} {'anonymous':>10} {'mapped':>10} {'total MB':>10} {'result MB':>12}")
    for name, result in results.items():
        line(name, result.seconds, limit / result.seconds, result)
    line("disk", limit, 1.0)
    if len(results) == 2:
        ours, theirs = results["nibble"], results["optimum-cli"]
        print(f"\nnibble needs 1/{theirs.seconds / ours.seconds:.1f} of the time of optimum-cli, 1/{theirs.anonymous_mb / ours.anonymous_mb:.1f} "
              f"of its anonymous memory, 1/{theirs.total_mb / ours.total_mb:.1f} of its resident set")


def measure(args):
    results = {}
    if args.only != "optimum":
        results["nibble"] = [run_nibble(args.nibble) for _ in range(args.runs)]
    if args.only != "nibble":
        results["optimum-cli"] = [run_optimum() for _ in range(args.optimum_runs)]
    return results


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nibble", type=Path, default=ROOT / "build" / "release" / "bin" / "nibble")
    parser.add_argument("--runs", type=int, default=3, help="of nibble; the median counts")
    parser.add_argument("--optimum-runs", type=int, default=1)
    parser.add_argument("--only", choices=["nibble", "optimum"])
    args = parser.parse_args()
    if args.only != "optimum" and not args.nibble.exists():
        parser.error(f"there is no {args.nibble}: ./dev build makes it")
    return args


def warn_if_busy():
    load = os.getloadavg()[0]
    if load > 1:
        print(f"warning: the load average is {load:.1f}; other work on this machine makes the times meaningless", flush=True)


def main():
    args = arguments()
    print(f"checkpoint: {WORK / 'checkpoint'}; options: {' '.join(COMPRESSION)}; {os.cpu_count()} processors", flush=True)
    random_checkpoint.make(WORK / "checkpoint")
    warn_if_busy()
    runs = measure(args)
    results = {name: median(of_one) for name, of_one in runs.items()}
    read, write = disk_seconds(next(iter(results.values())).bin_bytes)
    table(results, read + write)
    document = {"runs": {name: [asdict(one) for one in of_one] for name, of_one in runs.items()}, "read_s": read, "write_s": write}
    (WORK / "result.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
