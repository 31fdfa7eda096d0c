"""Medians, spreads and shares of what the engines measured."""

import statistics
from dataclasses import dataclass, field

SINGLE = ("prefill", "decode")
LONG = ("long prefill", "long decode", "batch")


def median_ratio(ours, theirs):
    ratios = [a / b for a, b in zip(ours, theirs) if a and b]
    return statistics.median(ratios) if ratios else None


@dataclass
class Figures:
    """`runs` are {engine, weights, cold, **result of engines.py}; `bytes_per_token` is {(engine, weights): bytes}."""
    runs: list
    bytes_per_token: dict = field(default_factory=dict)
    prompt: int = 512
    depth: int = 16
    long_prompt: int = 4096
    sequences: int = 8

    def _one(self, tables, what):
        table, key = {"prefill": ("prefill", self.prompt), "decode": ("decode", self.depth), "long prefill": ("prefill", self.long_prompt),
                      "long decode": ("decode", self.long_prompt), "batch": ("batch", self.sequences)}[what]
        return tables.get(table, {}).get(key)

    def of(self, engine, weights, cold=False):
        return [run for run in self.runs if (run["engine"], run["weights"], run["cold"]) == (engine, weights, cold)]

    def in_turn(self, engine, weights, what):
        """By repetition; None where it was not measured."""
        return [self._one(run, what) for run in self.of(engine, weights)]

    def values(self, engine, weights, what):
        return sorted(filter(None, self.in_turn(engine, weights, what)))

    def median(self, engine, weights, what):
        values = self.values(engine, weights, what)
        return statistics.median(values) if values else None

    def engines(self):
        return list(dict.fromkeys(run["engine"] for run in self.runs))

    def lead(self, weights, what):
        """Over the fastest setting of any other engine. Repetitions are compared with themselves, for the memory of a shared machine changes
        its speed by half within minutes."""
        ours = self.in_turn("Nibble", weights, what)
        rivals = (self.in_turn(name, weights, what) for name in self.engines() if name != "Nibble")
        return min((ratio for theirs in rivals if (ratio := median_ratio(ours, theirs))), default=None)

    def change(self, weights, what, base):
        """Of Nibble's speed, from `base` to `what`, in the same processes."""
        return median_ratio(self.in_turn("Nibble", weights, what), self.in_turn("Nibble", weights, base))

    def limits(self):
        """Medians of what Nibble's processes measured."""
        measured = [run["limits"] for run in self.runs if "limits" in run]
        return {name: statistics.median(one[name] for one in measured) for name in measured[0]} if measured else {}

    def isa(self):
        return next((run["isa"] for run in self.runs if "isa" in run), "")

    def share(self, engine, weights, what):
        """Of the bytes that could be read (decode) or of the multiplications that could be done in the arithmetic that Nibble chose (prefill).
        Nibble measures the machine around each of its figures; the others are compared with the median of that."""
        shares = [share for run in self.of(engine, weights) if (share := self._one(run.get("shares", {}), what))]
        if shares:
            return statistics.median(shares)
        rate, limits = self.median(engine, weights, what), self.limits()
        if not rate or not limits or what not in SINGLE:
            return None
        if what == "decode":
            return rate * self.bytes_per_token[engine, weights] / (limits["read_gb_s"] * 1e9)
        return rate * self.prefill_weights() / (self.multiplications(weights) * 1e9)

    def multiplications(self, weights):
        """In 1e9 per second, as Nibble multiplies such weights."""
        arithmetic = next(run["arithmetic"] for run in self.runs if run["weights"] == weights and "arithmetic" in run)
        limits = self.limits()
        return limits["f32_gflop_s"] / 2 if arithmetic == "f32" else limits[f"{arithmetic}_gmac_s"]

    def prefill_weights(self):
        return next(run["prefill_weights"] for run in self.runs if "prefill_weights" in run)
