"""The device that models run on. `python -m core.learning.device` prints it as one JSON line."""

from __future__ import annotations

import json
import platform
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import torch


@dataclass(frozen=True, slots=True)
class Device:
    """kind: cuda or cpu; precision: bf16, fp16 or fp32, the fastest that the device computes natively."""

    kind: str
    name: str
    memory_bytes: int
    precision: str

    @property
    def autocast(self) -> torch.dtype | None:
        return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.precision)


def find_device() -> Device:
    """Return the first CUDA device, else the CPU."""
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        precision = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
        return Device("cuda", properties.name, properties.total_memory, precision)
    # Emulated bf16 is slower than fp32: only where the CPU has the instructions.
    precision = "bf16" if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported() else "fp32"
    return Device("cpu", _cpu_name(), psutil.virtual_memory().total, precision)


def _cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{model or platform.processor() or platform.machine()}, {psutil.cpu_count(logical=False) or 1} cores"


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(find_device())) + "\n")
