"""Medians, spreads and shares of what the engines measured."""

import statistics
from dataclasses import dataclass, field

SINGLE = ("prefill", "decode")
LONG = ("long prefill", "long decode", "batch")


@dataclass
class Figures:
    """`runs` are {engine, weights, cold, **result of engines.py}; `bytes_per_token` is {(engine, weights): bytes}."""
    runs: list
    bytes_per_token: dict = field(default_factory=dict)
    prompt: int = 512
    depth: int = 16
    long_prompt: int = 4096
    sequences: int = 8

    def _one(self, run, what):
        table, key = {"prefill": ("prefill", self.prompt), "decode": ("decode", self.depth), "long prefill": ("prefill", self.long_prompt),
                      "long decode": ("decode", self.long_prompt), "batch": ("batch", self.sequences)}[what]
        return run.get(table, {}).get(key)

    def of(self, engine, weights, cold=False):
        return [run for run in self.runs if (run["engine"], run["weights"], run["cold"]) == (engine, weights, cold)]

    def values(self, engine, weights, what):
        return sorted(value for run in self.of(engine, weights) if (value := self._one(run, what)))

    def median(self, engine, weights, what):
        values = self.values(engine, weights, what)
        return statistics.median(values) if values else None

    def ours(self, weights, what):
        return self.median("Nibble", weights, what)

    def engines(self):
        return list(dict.fromkeys(run["engine"] for run in self.runs))

    def best_rival(self, weights, what):
        """The fastest setting of any other engine, as a median."""
        return max((self.median(name, weights, what) or 0 for name in self.engines() if name != "Nibble"), default=0) or None

    def limits(self):
        """The best that any process measured: what the machine can do does not depend on who was disturbed."""
        measured = [run["limits"] for run in self.runs if "limits" in run]
        return {name: max(one[name] for one in measured) for name in measured[0]} if measured else {}

    def isa(self):
        return next((run["isa"] for run in self.runs if "isa" in run), "")

    def share(self, engine, weights, what):
        """Of the bytes that could be read (decode) or of the multiplications that could be done (prefill: in float32 for FP16, else in int8)."""
        rate, limits = self.median(engine, weights, what), self.limits()
        if not rate or not limits or what not in SINGLE:
            return None
        if what == "decode":
            return rate * self.bytes_per_token[engine, weights] / (limits["read_gb_s"] * 1e9)
        macs = limits["f32_gflop_s"] / 2 if weights == "fp16" else limits["int8_gmac_s"]
        return rate * self.prefill_weights() / (macs * 1e9)

    def prefill_weights(self):
        return next(run["prefill_weights"] for run in self.runs if "prefill_weights" in run)
