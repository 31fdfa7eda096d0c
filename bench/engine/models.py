"""The model that all engines run: one random checkpoint, exported by Nibble to OpenVINO IR and written as GGUF for llama.cpp."""

import shutil
import subprocess
import sys
from pathlib import Path

import gguf_file

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "build" / "bench"
sys.path.append(str(ROOT / "bench" / "export"))
import random_checkpoint  # noqa: E402

WEIGHTS = ("int4", "int8", "fp16")
EXPORT = {
    "int4": ["--weight-format", "int4", "--sym", "--group-size", "128", "--ratio", "1.0"],
    "int8": ["--weight-format", "int8"],
    "fp16": ["--weight-format", "fp16"],
}
GGUF = {"int4": "Q4_0", "int8": "Q8_0", "fp16": "F16"}
NAMES = {"int4": "INT4 g128 / Q4_0", "int8": "INT8 / Q8_0", "fp16": "FP16 / F16"}
TINY = {"hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 512, "vocab_size": 512}


class Models:
    """Makes each file when it is first asked for."""

    def __init__(self, nibble, tiny=False):
        self.nibble = nibble
        self.folder = BENCH / ("engine-tiny" if tiny else "engine")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config = {**random_checkpoint.CONFIG, **(TINY if tiny else {})}
        self.checkpoint = self.folder / "checkpoint" if tiny else BENCH / "export" / "checkpoint"  # bench/export has the same

    def _source(self):
        random_checkpoint.make(self.checkpoint, config=self.config)
        return self.checkpoint

    def ir(self, weights):
        """The directory of OpenVINO IR."""
        out = self.folder / weights
        if not out.exists():
            partial = self.folder / f"{weights}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            print(f"exporting {out.relative_to(ROOT)}", flush=True)
            subprocess.run([self.nibble, "export", self._source(), partial, *EXPORT[weights]], check=True, stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL)
            partial.rename(out)
        return out

    def gguf(self, weights):
        path = self.folder / f"{GGUF[weights]}.gguf"
        if not path.exists():
            print(f"writing {path.relative_to(ROOT)}", flush=True)
            gguf_file.write(self._source(), path, GGUF[weights])
        return path
