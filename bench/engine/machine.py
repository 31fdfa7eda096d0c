"""What else goes on on this machine while an engine is measured."""

import os
import resource
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
IDLE_CORES = 0.1  # so little work of others does not show in the figures
LOOK_SECONDS = 1.0


def busy_seconds():
    """Processor time that all processes have used since the machine started."""
    user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split(None, 9)[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS


def child_seconds():
    """Processor time of the children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def busy_cores():
    """Cores in use during the next second."""
    before = busy_seconds()
    time.sleep(LOOK_SECONDS)
    return (busy_seconds() - before) / LOOK_SECONDS


def wait_until_idle(patience):
    """Sleeps until the machine is idle, at most `patience` seconds; returns whether it is."""
    end = time.monotonic() + patience
    while busy_cores() > IDLE_CORES:
        if time.monotonic() > end:
            return False
    return True


class OtherWork:
    """Between its start and its end: the cores that processes other than this one's children used."""

    def __enter__(self):
        self._start = (time.monotonic(), busy_seconds(), child_seconds())
        return self

    def __exit__(self, *_):
        seconds, busy, own = (now - then for now, then in zip((time.monotonic(), busy_seconds(), child_seconds()), self._start))
        self.cores = max(0.0, (busy - own) / seconds)


def usable_cores():
    return len(os.sched_getaffinity(0))


def processor():
    names = (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    return next(names, "unknown")


def drop_from_cache(path):
    """The files of a model, so that the next load reads them from the disk."""
    for file in [path] if path.is_file() else path.iterdir():
        with open(file, "rb") as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
