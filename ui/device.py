"""The device that training would run on, found by a process of its own: the web process never imports torch."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from dataclasses import dataclass

import streamlit as st

from core.encoders import Encoder
from core.services.pretraining import passes
from core.settings import PROJECT_DIR
from core.wording import _, ngettext

logger = logging.getLogger(__name__)

# Multiply-adds a second that training reaches for each unit of an encoder's width: 5e10 with the starter, 1.8e11 at the
# width of BERT-base, measured on one core of a busy CPU. A GPU does far more.
CPU_WORK_PER_S = 2.0e8
GPU_WORK_PER_S = 3.0e13
TOKENS_A_POST = 50
MASKED_SHARE = 0.15
FULL_STEPS, FULL_BATCH = 300, 16
QUICK_STEPS, QUICK_BATCH = 200, 16


@dataclass(frozen=True, slots=True)
class DeviceFound:
    kind: str  # cuda or cpu
    name: str
    memory_gb: float
    precision: str
    count: int = 1


def description(device: DeviceFound) -> str:
    """In the reader's words: what was found is kept for everybody."""
    said = _("GPU: {name}, {memory} GB, {precision}")
    if device.kind != "cuda":
        said = _("No GPU found; CPU: {name}, {memory} GB, {precision}")
    return said.format(name=device.name, memory=f"{device.memory_gb:.0f}", precision=device.precision)


def find_device() -> DeviceFound:
    with st.spinner(_("Looking for a GPU …")):
        found: DeviceFound = _find_device()
    return found


@st.cache_data(show_spinner=False, ttl=3600)
def _find_device() -> DeviceFound:
    """Ask a process that may import torch; hardware does not change within the hour."""
    command = [sys.executable, "-m", "core.learning.device"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, cwd=PROJECT_DIR)
        found = json.loads(answer.stdout)
    except (subprocess.SubprocessError, ValueError):
        logger.exception("the device could not be found out")
        return DeviceFound("cpu", "unknown", 0.0, "fp32")
    return DeviceFound(found["kind"], found["name"], found["memory_bytes"] / 1e9, found["precision"], found["count"])


def minutes_estimate(device: DeviceFound, encoder: Encoder, *, labels: int, quick: bool) -> str:
    """Rough words for how long training takes, from the encoder's size and the number of steps."""
    steps, batch = (QUICK_STEPS, QUICK_BATCH) if quick else (FULL_STEPS, FULL_BATCH)
    posts = max(labels * (1 if quick else 3), steps * batch)
    return _time_for(device, encoder, posts * TOKENS_A_POST * _weights(encoder))


def adapting_estimate(device: DeviceFound, encoder: Encoder, *, texts: int) -> str:
    """Rough words for how long adapting takes; a vocabulary of thousands is weighed for each masked token."""
    head = MASKED_SHARE * encoder.vocabulary * encoder.hidden
    return _time_for(device, encoder, texts * passes(texts) * TOKENS_A_POST * (_weights(encoder) + head))


def _weights(encoder: Encoder) -> int:
    return encoder.layers * 12 * encoder.hidden**2


def _time_for(device: DeviceFound, encoder: Encoder, work: float) -> str:
    """work: multiply-adds of a forward pass; the way back takes twice as many."""
    minutes = 3 * work / (GPU_WORK_PER_S if device.kind == "cuda" else CPU_WORK_PER_S * encoder.hidden) / 60
    if minutes < 1:
        return _("less than a minute")
    if minutes < 90:
        return ngettext("about {count} minute", "about {count} minutes", round(minutes)).format(count=round(minutes))
    return _("about {count} hours").format(count=f"{minutes / 60:,.1f}")
