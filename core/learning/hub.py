"""Fetching a base encoder from a model hub, only when somebody asks for it by name. HF_ENDPOINT names a mirror."""

from __future__ import annotations

import shutil
from pathlib import Path

from httpx2 import HTTPError
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, RepositoryNotFoundError

from core.encoders import TOKENIZERS, WEIGHTS, Encoder, read_encoder
from core.errors import BadInput
from core.wording import _

FILES = ["config.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", *TOKENIZERS]


def fetch_encoder(name: str, base_dir: Path) -> Encoder:
    """Download config, tokenizer and weights of `ORG/NAME` into base_dir/ORG/NAME; returns the encoder.

    Safetensors are preferred, a .bin is taken where there are none; nothing else of the repository comes along.
    Downloaded aside and renamed when complete. Raises BadInput for an unknown name, a hub that cannot be reached, or
    a model that is not BERT-like.
    """
    target = base_dir / name
    partial = target.with_name(target.name + ".partial")
    try:
        offered = HfApi().list_repo_files(name)
        weights = next((file for file in WEIGHTS if file in offered), None)
        if weights is None:
            raise BadInput(
                _("{name!r} offers none of {weights}; choose another encoder.").format(
                    name=name, weights=", ".join(WEIGHTS)
                )
            )
        snapshot_download(name, local_dir=partial, allow_patterns=[*FILES, weights])
        encoder = read_encoder(partial, name=name, origin="models/base")
        if encoder is None:
            raise BadInput(_("{name!r} is not a complete BERT-like encoder; choose another one.").format(name=name))
        shutil.rmtree(partial / ".cache", ignore_errors=True)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
    except RepositoryNotFoundError as err:
        raise BadInput(_("The hub has no model {name!r}; check the spelling (ORG/NAME).").format(name=name)) from err
    except HFValidationError as err:
        raise BadInput(_("{name!r} is not a model name of the form ORG/NAME.").format(name=name)) from err
    except (HTTPError, HfHubHTTPError, OfflineModeIsEnabled, OSError) as err:
        raise BadInput(
            _(
                "The hub cannot be reached ({name}). Set HF_ENDPOINT to a mirror, or copy the folder "
                "into {target} by hand (see the README)."
            ).format(name=type(err).__name__, target=target)
        ) from err
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Encoder(name, target, encoder.layers, encoder.hidden, encoder.vocabulary, encoder.origin)
