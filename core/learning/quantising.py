"""A base encoder in 8 bits, for GPUs with little memory (LLM.int8, Dettmers et al. 2022): the extra tiebreak[quant].

Adapter and head stay as they are, and are not merged into it.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import torch
from transformers import BitsAndBytesConfig

from core.errors import BadInput
from core.wording import _

WHOLE = ["classifier", "pre_classifier", ".*pooler"]  # layers that are trained and saved whole


def options(place: str) -> dict[str, Any]:
    """What loading an encoder in 8 bits on that device takes. place: as torch names it.

    Raises BadInput where bitsandbytes is not installed, or does not compute on that device.
    """
    if importlib.util.find_spec("bitsandbytes") is None:
        raise BadInput(_("--load-in-8bit needs an extra that is not installed: pip install 'tiebreak[quant]'."))
    import bitsandbytes

    kind = torch.device(place).type
    if kind not in bitsandbytes.supported_torch_devices or not _computes(bitsandbytes, place):
        raise BadInput(
            _("bitsandbytes {version} does not compute in 8 bits on {device}; leave --load-in-8bit out.").format(
                version=bitsandbytes.__version__, device=place
            )
        )
    kept = BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=WHOLE)
    return {"quantization_config": kept, "device_map": {"": place}}


def _computes(bitsandbytes: Any, place: str) -> bool:
    try:
        layer = bitsandbytes.nn.Linear8bitLt(16, 16, has_fp16_weights=False).to(place)
        with torch.inference_mode():
            return bool(layer(torch.ones(1, 16, device=place)).isfinite().all())
    except (RuntimeError, NotImplementedError, AttributeError):  # built without this device's kernels
        return False


def is_in_8bit(model: Any) -> bool:
    return bool(getattr(model, "is_loaded_in_8bit", False))
