"""The engines: how each is run in a process of its own, and its figures in one form.

A result has load_s, peak_mb, prefill {prompt tokens: tokens/s} and decode {depth: tokens/s}; Nibble's also batch {sequences: tokens/s},
shares of the machine {prefill, decode, batch} likewise, limits, isa, arithmetic, weight_bytes_per_token and prefill_weights.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import machine

HERE = Path(__file__).resolve().parent


@dataclass
class Work:
    """What one process measures."""
    prompt: int = 512
    depth: int = 16
    new_tokens: int = 64
    long_prompt: int = 0  # and its decode at that depth, and sequences together; Nibble only
    sequences: int = 0


class Failed(Exception):
    pass


def last_object(text):
    """The JSON object that a process printed, after whatever libraries print."""
    return json.loads(text[text.index("{"):])


def output_of(command, log):
    done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True)
    log.write_text(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-10:])
        raise Failed(f"{tail}\nexit code {done.returncode}; all of its output: {log}")
    return last_object(done.stdout)


def with_numbers(table):
    return {int(key): value for key, value in table.items()}


class Engine:
    """One engine with one setting."""

    def __init__(self, name, models):
        self.name, self.models = name, models

    def run(self, weights, work, threads):
        log = self.models.folder / f"{self.name.replace(' ', '-')}-{weights}.log"
        with machine.OtherWork() as others:
            result = self.parse(output_of(self.command(weights, work, threads), log))
        return {**result, "other_cores": others.cores, "load_average": os.getloadavg()[0]}

    def parse(self, result):
        return {**result, "prefill": with_numbers(result["prefill"]), "decode": with_numbers(result["decode"])}

    def rival_command(self, script, work, threads):
        return [sys.executable, "-B", HERE / script, "--threads", threads, "--vocab", self.models.config["vocab_size"], "--prompt", work.prompt,
                "--depth", work.depth, "--new-tokens", work.new_tokens]


class Nibble(Engine):
    def __init__(self, models, device, kv_precision):
        super().__init__("Nibble", models)
        self.device, self.kv_precision = device, kv_precision

    def model(self, weights):
        return self.models.ir(weights)

    def command(self, weights, work, threads):
        # The first prompt is the warm-up that the others have too.
        prompts, depths = [work.prompt, work.prompt], [work.depth]
        if work.long_prompt:
            prompts.append(work.long_prompt)
            depths.append(work.long_prompt)
        command = [self.models.nibble, "bench", self.model(weights), "--device", self.device, "--threads", threads, "-r", 1, "--json",
                   "-p", ",".join(map(str, prompts)), "-n", work.new_tokens, "--depth", ",".join(map(str, depths))]
        if work.sequences:
            command += ["--batch", work.sequences]
        if self.kv_precision:
            command += ["--property", f"KV_CACHE_PRECISION={self.kv_precision}"]
        return command

    def parse(self, result):
        by = {"prefill": "tokens", "decode": "depth", "batch": "sequences"}
        speeds = {what: {one[key]: one["tps"] for one in result[what]} for what, key in by.items()}
        shares = {what: {one[key]: one["share"] for one in result[what]} for what, key in by.items()}
        return {"load_s": result["load_s"], "peak_mb": result["peak_rss_mb"], "limits": result["limits"], "isa": result["isa"],
                "arithmetic": result["arithmetic"], "weight_bytes_per_token": result["weight_bytes_per_token"],
                "prefill_weights": result["prefill_weights"], **speeds, "shares": shares}


class OpenVINO(Engine):
    def __init__(self, models, attention):
        super().__init__(f"OpenVINO {attention}", models)
        self.attention = attention

    def model(self, weights):
        return self.models.ir(weights)

    def command(self, weights, work, threads):
        return [*self.rival_command("run_openvino.py", work, threads), "--attention", self.attention, self.model(weights)]


class LlamaCpp(Engine):
    def __init__(self, models, flash_attention):
        super().__init__("llama.cpp FA" if flash_attention else "llama.cpp", models)
        self.options = ["--flash-attention"] if flash_attention else []

    def model(self, weights):
        return self.models.gguf(weights)

    def command(self, weights, work, threads):
        return [*self.rival_command("run_llama_cpp.py", work, threads), *self.options, self.model(weights)]


def make(names, models, device, kv_precision):
    """The engines called `names`: nibble, openvino (both attentions), llama.cpp (with and without flash attention)."""
    by_name = {"nibble": [Nibble(models, device, kv_precision)], "openvino": [OpenVINO(models, "PA"), OpenVINO(models, "SDPA")],
               "llama.cpp": [LlamaCpp(models, False), LlamaCpp(models, True)]}
    return [engine for name in names for engine in by_name[name]]
