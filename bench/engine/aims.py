"""What Nibble wants to reach, by class of processor, and how each figure comes from the measured ones."""

from dataclasses import dataclass
from typing import Callable

NAMES = {"int4": "INT4", "int8": "INT8", "fp16": "FP16"}


@dataclass
class Aim:
    text: str
    unit: str  # "%" or "x"
    plain: float  # AVX2 without VNNI
    vnni: float
    value: Callable  # of Figures; None where it was not measured

    def wanted(self, isa):
        return self.vnni if isa.startswith("avx512") or "vnni" in isa else self.plain


def against_rival(weights, what, plain, vnni):
    return Aim(f"{NAMES[weights]} {what} against the faster rival", "x", plain, vnni,
               lambda f: f.lead(weights, what))


def share_of_machine(weights, what, plain, vnni):
    limit = "bandwidth" if what == "decode" else "arithmetic"
    return Aim(f"{NAMES[weights]} {what}, share of the {limit}", "%", plain, vnni, lambda f: f.share("Nibble", weights, what))


AIMS = [
    share_of_machine("int4", "decode", 0.85, 0.90),
    against_rival("int4", "decode", 1.4, 1.3),
    share_of_machine("int4", "prefill", 0.65, 0.60),
    against_rival("int4", "prefill", 1.6, 2.0),
    against_rival("int8", "decode", 1.3, 1.3),
    against_rival("int8", "prefill", 1.3, 1.3),
    against_rival("fp16", "decode", 1.2, 1.2),
    against_rival("fp16", "prefill", 1.2, 1.2),
    Aim("8 sequences decoding against one", "x", 4, 4, lambda f: f.change("int4", "batch", "decode")),
    Aim("prompt of 4096 against 512", "%", 0.75, 0.75, lambda f: f.change("int4", "long prefill", "prefill")),
    Aim("decode at depth 4096, u8 KV, against depth 16", "%", 0.80, 0.80, lambda f: f.change("int4", "long decode", "decode")),
]
