"""Pulling a base encoder from a model hub, only when somebody asks for it by name. HF_ENDPOINT names a mirror.

The hub's own client begins a file anew after every break; here a download goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import pickle
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from httpx2 import HTTPError
from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, RepositoryNotFoundError
from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status
from safetensors.torch import save_file

from core.encoders import PARTIAL, PICKLED, TOKENIZERS, WEIGHTS, Encoder, is_bert_like, read_encoder
from core.errors import BadInput, Conflict, TiebreakError
from core.wording import _

CONFIG = "config.json"
BESIDE = (CONFIG, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", *TOKENIZERS)
REVISION = "revision"  # file in an unfinished folder: what has come so far belongs to it

Report = Callable[[int, int], None]  # bytes that are here, bytes in all


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """sha256: None where the hub does not say it."""

    name: str
    size: int
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Offer:
    """What a hub offers under a name: the files that are needed of one revision, small ones first.

    licence: None where the model's card names none.
    """

    name: str
    revision: str
    licence: str | None
    files: tuple[RemoteFile, ...]

    @property
    def size_bytes(self) -> int:
        return sum(file.size for file in self.files)


def look_up(name: str, *, base_dir: Path) -> Offer:
    """Return what the hub offers under `ORG/NAME`; nothing is downloaded.

    Safetensors are preferred, a .bin is taken where there are none; nothing else of the repository is offered. Raises
    Conflict when the encoder lies in base_dir already, BadInput for an unknown name, a hub that cannot be reached, or
    a model without weights.
    """
    if (base_dir / name / CONFIG).is_file():
        raise Conflict(
            _("{name} is in {folder} already; delete the folder to pull it anew.").format(
                name=name, folder=base_dir / name
            )
        )
    with _hub_errors(name, base_dir / name):
        found = HfApi().model_info(name, files_metadata=True)
    offered = {file.rfilename: file for file in found.siblings or []}
    weights = next((file for file in WEIGHTS if file in offered), None)
    if weights is None:
        raise BadInput(
            _("{name!r} offers none of {weights}; choose another encoder.").format(
                name=name, weights=", ".join(WEIGHTS)
            )
        )
    wanted = [offered[file] for file in (*BESIDE, weights) if file in offered]
    files = tuple(RemoteFile(file.rfilename, file.size or 0, _sha256(file)) for file in wanted)
    return Offer(name, str(found.sha), _licence(found), files)


def _sha256(file: Any) -> str | None:
    return None if file.lfs is None else file.lfs.sha256


def _licence(found: Any) -> str | None:
    named = (tag.removeprefix("license:") for tag in found.tags or [] if tag.startswith("license:"))
    stated = None if found.card_data is None else found.card_data.get("license")
    return str(stated) if stated else next(named, None)


def pull(offer: Offer, *, base_dir: Path, report: Report = lambda done, total: None) -> Encoder:
    """Download what look_up found into base_dir/ORG/NAME; returns the encoder.

    What a break leaves is gone on with the next time, unless the hub offers another revision by then. Renamed when
    complete; a .bin has become safetensors by then. Raises BadInput for a hub that cannot be reached, files that are
    not what it announced, or a model that is not BERT-like.
    """
    target = base_dir / offer.name
    partial = target.with_name(target.name + PARTIAL)
    _make_ready(partial, offer.revision)
    begun = 0
    for file in offer.files:
        with _hub_errors(offer.name, target):
            for here in _download(offer, file, partial):
                report(begun + here, offer.size_bytes)
        begun += file.size
        if file.name == CONFIG and not is_bert_like(partial):  # said before the weights come
            _refuse(offer.name, partial)
    if (partial / PICKLED).is_file():
        make_safe(partial / PICKLED)
    (partial / REVISION).unlink()
    if read_encoder(partial, name=offer.name, origin="models/base") is None:
        _refuse(offer.name, partial)
    partial.rename(target)
    encoder = read_encoder(target, name=offer.name, origin="models/base")
    assert encoder is not None
    return encoder


def _refuse(name: str, partial: Path) -> None:
    shutil.rmtree(partial)
    raise BadInput(_("{name!r} is not a complete BERT-like encoder; choose another one.").format(name=name))


def _make_ready(partial: Path, revision: str) -> None:
    """Keep what an earlier try left of the same revision."""
    note = partial / REVISION
    if not note.is_file() or note.read_text(encoding="utf-8") != revision:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        note.write_text(revision, encoding="utf-8")


def _download(offer: Offer, file: RemoteFile, folder: Path) -> Iterator[int]:
    """Yields how many bytes of the file are here."""
    path = folder / file.name
    if path.is_file():
        yield file.size
        return
    part = folder / (file.name + ".part")
    begun = part.stat().st_size if part.is_file() else 0
    if begun < file.size or not begun:
        url = hf_hub_url(offer.name, file.name, revision=offer.revision)
        headers = build_hf_headers() | {"Accept-Encoding": "identity"} | ({"Range": f"bytes={begun}-"} if begun else {})
        with get_session().stream("GET", url, headers=headers, follow_redirects=True) as response:
            hf_raise_for_status(response)
            goes_on = response.status_code == 206  # otherwise the server sends all of it again
            with part.open("ab" if goes_on else "wb") as out:
                here = begun if goes_on else 0
                for chunk in response.iter_bytes():
                    out.write(chunk)
                    here += len(chunk)
                    yield here
    _check(file, part)
    part.rename(path)


def _check(file: RemoteFile, part: Path) -> None:
    with part.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest() if file.sha256 else None
    if part.stat().st_size != file.size or found != file.sha256:
        part.unlink()
        raise BadInput(
            _("{file} is not what the hub announced (its size or hash differs); pull again.").format(file=file.name)
        )


@contextmanager
def _hub_errors(name: str, target: Path) -> Iterator[None]:
    try:
        yield
    except RepositoryNotFoundError as err:
        raise BadInput(_("The hub has no model {name!r}; check the spelling (ORG/NAME).").format(name=name)) from err
    except HFValidationError as err:
        raise BadInput(_("{name!r} is not a model name of the form ORG/NAME.").format(name=name)) from err
    except TiebreakError:
        raise
    except (HTTPError, HfHubHTTPError, OfflineModeIsEnabled, OSError) as err:
        raise BadInput(
            _(
                "The hub cannot be reached ({name}). Set HF_ENDPOINT to a mirror, or copy the folder "
                "into {target} by hand (see the README)."
            ).format(name=type(err).__name__, target=target)
        ) from err


def make_safe(weights: Path) -> None:
    """Replace a .bin by model.safetensors beside it, with the same tensors; nothing that it holds is run.

    Raises BadInput when it holds anything but tensors by name; the .bin stays then.
    """
    try:
        found = torch.load(weights, map_location="cpu", weights_only=True)
    except (OSError, ValueError, RuntimeError, EOFError, pickle.UnpicklingError) as err:
        raise BadInput(_("{weights} cannot be read as weights: {err}").format(weights=weights, err=err)) from err
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise BadInput(_("{weights} holds something else than tensors by name.").format(weights=weights))
    # Tied weights share their memory, which safetensors refuses: each gets its own.
    tensors = {str(name): value.detach().clone().contiguous() for name, value in found.items()}
    partial = weights.with_name(WEIGHTS[0] + ".part")
    save_file(tensors, partial, {"format": "pt"})
    partial.rename(weights.with_name(WEIGHTS[0]))
    weights.unlink()
