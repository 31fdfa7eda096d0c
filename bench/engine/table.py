"""Prints what was measured."""

import statistics

import models
from aims import AIMS
from figures import LONG, SINGLE

NOISY_CORES = 0.2  # of other processes, on average over a run


def percent(value):
    return f"{value:.0%}" if value is not None else "-"


def times(value):
    return f"{value:.2f} x" if value is not None else "-"


def print_columns(rows):
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        first, *rest = (cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths)))
        print("  ".join([first, *rest]).rstrip())


def speed_row(figures, engine, weights, what):
    values, lead = figures.values(engine, weights, what), figures.lead(weights, what)
    against = times(lead) if engine == "Nibble" and lead else ""
    return [f"  {engine}", f"{statistics.median(values):.1f}", f"{values[0]:.1f}-{values[-1]:.1f}",
            percent(figures.share(engine, weights, what)), against]


def print_speeds(figures):
    rows = [["tokens/s", "median", "spread", "of machine", "to rival"]]
    for weights in models.WEIGHTS:
        for what in (*SINGLE, *LONG):
            measured = [engine for engine in figures.engines() if figures.values(engine, weights, what)]
            if measured:
                rows.append([f"{models.NAMES[weights]}, {what_is(figures, what)}", "", "", "", ""])
            rows += [speed_row(figures, engine, weights, what) for engine in measured]
    print_columns(rows)


def what_is(figures, what):
    return {"prefill": f"prompt of {figures.prompt}", "decode": f"decode after {figures.depth}", "long prefill": f"prompt of {figures.long_prompt}",
            "long decode": f"decode after {figures.long_prompt}", "batch": f"{figures.sequences} sequences decoding"}[what]


def load_row(figures, engine, weights):
    warm, cold = figures.of(engine, weights), figures.of(engine, weights, cold=True)
    return [f"  {engine}", f"{statistics.median(run['load_s'] for run in cold):.2f}" if cold else "-",
            f"{statistics.median(run['load_s'] for run in warm):.2f}", f"{max(run['peak_mb'] for run in warm):.0f}"]


def print_loads(figures):
    rows = [["load", "cold s", "warm s", "peak MB"]]
    for weights in models.WEIGHTS:
        measured = [engine for engine in figures.engines() if figures.of(engine, weights)]
        if measured:
            rows.append([models.NAMES[weights], "", "", ""])
        rows += [load_row(figures, engine, weights) for engine in measured]
    print_columns(rows)


def show(value, unit):
    if value is None:
        return "not measured"
    return percent(value) if unit == "%" else times(value)


def verdict(value, wanted):
    if value is None:
        return ""
    return "met" if value >= wanted else "MISSED"


def aim_rows(figures):
    """(text, measured, wanted, verdict) of each aim."""
    for aim in AIMS:
        value, wanted = aim.value(figures), aim.wanted(figures.isa())
        yield [aim.text, show(value, aim.unit), f">= {show(wanted, aim.unit)}", verdict(value, wanted)]


def print_aims(figures):
    print_columns([["aim", "measured", "wanted", ""], *aim_rows(figures)])


def print_notes(figures):
    noisy = [run for run in figures.runs if run["other_cores"] > NOISY_CORES]
    if noisy:
        worst = max(run["other_cores"] for run in noisy)
        print(f"\nNOISY: other processes used up to {worst:.1f} cores during {len(noisy)} of {len(figures.runs)} runs; these figures prove nothing")


def print_machine(figures, processor, threads):
    limits = figures.limits()
    print(f"\n{processor}, {threads} threads" + (f", Nibble's kernels: {figures.isa()} (OpenVINO chooses its own)" if figures.isa() else ""))
    if limits:
        print(f"machine: {limits['read_gb_s']:.1f} GB/s read, {limits['int8_gmac_s']:.0f} int8 and {limits['int4_gmac_s']:.0f} int4 GMAC/s, "
              f"{limits['bf16_gmac_s']:.0f} bf16 GMAC/s, {limits['f32_gflop_s']:.0f} f32 GFLOP/s")


def print_all(figures, processor, threads):
    print_machine(figures, processor, threads)
    for part in (print_speeds, print_loads):
        print()
        part(figures)
    if figures.isa():
        print()
        print_aims(figures)
    print_notes(figures)
