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
    """kind: cuda or cpu. precision: bf16, fp16 or fp32, the fastest that it computes natively. place: for torch."""

    kind: str
    name: str
    memory_bytes: int
    precision: str
    place: str

    @property
    def autocast(self) -> torch.dtype | None:
        return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.precision)


def find_device() -> Device:
    """Return the first CUDA device, else the CPU."""
    return find_devices()[0]


def find_devices() -> list[Device]:
    """Return all CUDA devices that compute in what the first one does, else the CPU."""
    if torch.cuda.is_available():
        found = [_cuda_device(number) for number in range(torch.cuda.device_count())]
        return [device for device in found if device.precision == found[0].precision]
    # Emulated bf16 is slower than fp32: only where the CPU has the instructions.
    precision = "bf16" if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported() else "fp32"
    return [Device("cpu", _cpu_name(), psutil.virtual_memory().total, precision, "cpu")]


def _cuda_device(number: int) -> Device:
    properties = torch.cuda.get_device_properties(number)
    # Natively from compute capability 8.0 on; torch's own question is of the current device only, and emulates.
    precision = "bf16" if properties.major >= 8 else "fp16"
    return Device("cuda", properties.name, properties.total_memory, precision, f"cuda:{number}")


def _cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{model or platform.processor() or platform.machine()}, {psutil.cpu_count(logical=False) or 1} cores"


if __name__ == "__main__":
    found = find_devices()
    sys.stdout.write(json.dumps(asdict(found[0]) | {"count": len(found)}) + "\n")
