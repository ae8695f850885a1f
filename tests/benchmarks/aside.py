"""Calling a function in a fresh process, so that neither memory nor loaded libraries of one leak into another."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """What the function returned, how long it took, and the process's peak memory before and after it."""

    value: Any
    seconds: float
    peak_before_mib: float
    peak_mib: float


def call_aside(function: Callable[..., Any], *arguments: object) -> Call:
    """Call a function of a module in a process of its own; starting it is not counted."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as process:
        return process.submit(_watched, function, *arguments).result()


def _watched(function: Callable[..., Any], *arguments: object) -> Call:
    before = _peak_mib()
    begun = time.perf_counter()
    value = function(*arguments)
    return Call(value, time.perf_counter() - begun, before, _peak_mib())


def _peak_mib() -> float:
    """Peak resident memory of this process.

    On Linux from its own status file: what getrusage says there includes what the parent had when it started us.
    """
    recorded = recorded_peak_mib("self")
    if recorded is not None:
        return recorded
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)  # bytes there, KiB elsewhere


def recorded_peak_mib(process: int | str) -> float | None:
    """Peak resident memory of a process as Linux records it; None elsewhere, or when it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = next((line for line in lines if line.startswith("VmHWM:")), None)
    return None if found is None else int(found.split()[1]) / 2**10
