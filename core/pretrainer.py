"""Encoders from plain text: made or adapted from files, or adapted to the pool as a run."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from core import encoders
from core.context import Context
from core.domain import RunPoint
from core.errors import BadInput, Cancelled, Conflict
from core.loading import encoder_places, prepare_libraries
from core.services import pretraining
from core.services.pretraining import PretrainingRequest, passes
from core.settings import Settings
from core.wording import N_, _

if TYPE_CHECKING:
    from core.learning.pretraining import PretrainingProgress

logger = logging.getLogger(__name__)

STATE = Path("checkpoint") / "state.pt"
BEGUN_FROM = "begun-from"  # file in an unfinished folder: the name of the base encoder
POINTS = 200  # of the loss, along a run


def pretrain_from_files(
    settings: Settings,
    files: list[Path],
    out_dir: Path,
    *,
    base: str | None,
    epochs: int | None,
    source: str,
    resume: bool,
    force: bool,
    report: Callable[[int, int, float], None],
) -> dict[str, object]:
    """Make an encoder from text files in this process, or go on from one there is (base); returns its figures.

    Raises Conflict when the folder holds one already, or part of one, unless told to overwrite it or to go on.
    """
    if not (resume or force):
        _refuse_overwriting(out_dir)
    encoder = encoders.resolve_encoder(base, **encoder_places(settings)) if base is not None else None
    prepare_libraries()
    from core.learning.pretraining import PretrainingConfig, adapting, pretrain
    from core.texts import read_texts

    texts = read_texts(files)
    if encoder is not None:
        config = adapting(encoder.path, encoder.name, hidden=encoder.hidden, epochs=epochs or passes(len(texts)))
    else:
        config = PretrainingConfig() if epochs is None else PretrainingConfig(epochs=epochs)
    result = pretrain(
        texts,
        out_dir,
        config=config,
        resume=resume,
        source=source,
        report=lambda progress: report(progress.step, progress.steps, progress.loss),
    )
    return asdict(result)


def _refuse_overwriting(out_dir: Path) -> None:
    """Pretraining takes hours: a second one must not take the first one's place without a word."""
    if (out_dir / STATE).is_file():
        raise Conflict(
            _("{out_dir} holds an unfinished encoder; --resume goes on with it, --force begins anew.").format(
                out_dir=out_dir
            )
        )
    if encoders.weights_file(out_dir) is not None:
        raise Conflict(
            _("{out_dir} holds an encoder already; name another folder, or --force to overwrite it.").format(
                out_dir=out_dir
            )
        )


# --- as a run -------------------------------------------------------------------------------------------------------


def folders_of(settings: Settings, name: str) -> tuple[Path, Path]:
    """Where the encoder of that name will lie, and where it lies until it is finished."""
    folder = settings.models_dir / "base" / name
    return folder, folder.with_name(name + encoders.PARTIAL)


def unfinished(settings: Settings) -> dict[str, str]:
    """Names of encoders that a run has left unfinished, each with the name of the base it was begun from."""
    found = sorted((settings.models_dir / "base").glob(f"*{encoders.PARTIAL}/{STATE}"))
    folders = [state.parents[1] for state in found if (state.parents[1] / BEGUN_FROM).is_file()]
    return {folder.name.removesuffix(encoders.PARTIAL): _begun_from(folder) for folder in folders}


def _begun_from(partial: Path) -> str:
    return (partial / BEGUN_FROM).read_text(encoding="utf-8").strip()


def refuse_taken(settings: Settings, request: PretrainingRequest) -> None:
    """Raise Conflict when the name is an encoder's already: versions may be trained on it, so it is never replaced."""
    folder, _partial = folders_of(settings, request.name)
    if folder.exists():
        raise Conflict(
            _("There is an encoder {name!r} already; choose another name, or delete {folder}.").format(
                name=request.name, folder=folder
            )
        )


def adapt_encoder(context: Context) -> dict[str, object]:
    """Go on with masked language modelling on the pool's texts; the encoder then lies in models/base.

    When it is cancelled, or its process dies, what it has learned stays for a run that resumes it.
    """
    prepare_libraries()
    context.report(N_("preparing"), 0, None, N_("loading the libraries"))
    from core.learning.pretraining import adapting, pretrain

    request = PretrainingRequest(**context.run.config)  # type: ignore[arg-type]
    refuse_taken(context.settings, request)
    encoder = encoders.resolve_encoder(request.base, **encoder_places(context.settings))
    folder, partial = folders_of(context.settings, request.name)
    resume = request.resume and (partial / STATE).is_file()
    if resume and _begun_from(partial) != encoder.name:
        raise BadInput(
            _("{name} was begun from {begun}, not from {base}; begin anew, or go on from {begun}.").format(
                name=request.name, begun=_begun_from(partial), base=encoder.name
            )
        )
    if not resume:
        shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True, exist_ok=True)
    (partial / BEGUN_FROM).write_text(encoder.name, encoding="utf-8")
    texts = pretraining.count_pool(context.engine, most=request.most_texts)
    logger.info("adapting %s in %s to %s texts", encoder.name, encoder.path, texts)
    context.report(N_("preparing"), 0, None, N_("reading the texts of the pool"))
    result = pretrain(
        lambda: pretraining.pool_texts(context.engine, most=request.most_texts),
        partial,
        config=adapting(encoder.path, encoder.name, hidden=encoder.hidden, epochs=request.epochs or passes(texts)),
        resume=resume,
        source="the pool of a forum",
        report=_Reporter(context),
        is_cancelled=context.is_cancelled,
    )
    (partial / BEGUN_FROM).unlink()
    partial.rename(folder)
    return {"encoder": request.name, "base": encoder.words, "texts": texts, **asdict(result)}


class _Reporter:
    """Progress and the curve of the loss; a cancellation is left to the training, which saves what it has first."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._point_at = 0

    def __call__(self, progress: PretrainingProgress) -> None:
        message = _("step {step} of {steps}").format(step=progress.step, steps=progress.steps)
        with suppress(Cancelled):
            self._context.report(N_("training"), progress.step, progress.steps, message)
        if progress.step >= self._point_at or progress.step == progress.steps:
            self._point_at = progress.step + max(1, progress.steps // POINTS)
            self._context.add_point(RunPoint(progress.step, loss=progress.loss))
            logger.info("%s: loss %.3f", message, progress.loss)
