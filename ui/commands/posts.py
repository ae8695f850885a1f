"""Commands around posts: import them, see where they stand and what comes next, decide one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from core.clock import utc_now
from core.domain import Label, SourceTrust
from core.errors import BadInput
from core.tsv import ENCODINGS, ROLES
from ui.commands.console import Json, open_installation, run_follow_ups, run_in_foreground, show, wrong_use


def _columns(options: Sequence[str]) -> dict[str, str]:
    """`text=内容` → {'text': '内容'}."""
    pairs = [option.partition("=") for option in options]
    wrong = [option for option, (role, sep, name) in zip(options, pairs, strict=True) if not (role and sep and name)]
    if wrong:
        raise BadInput(f"--column {wrong[0]!r} is not of the form ROLE=NAME, for example text=message.")
    unknown = [role for role, _, _ in pairs if role not in ROLES]
    if unknown:
        raise BadInput(f"--column knows no role {unknown[0]!r}; there are {', '.join(ROLES)}.")
    return {role: name for role, _, name in pairs}


def _encoding(name: str) -> str:
    if name not in ENCODINGS:
        raise BadInput(f"--encoding {name!r} is not one of {', '.join(ENCODINGS)}.")
    return name


def import_files(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", help="TSV exports; labelled JSONL, CSV or TSV; what Label Studio or doccano exports."
        ),
    ],
    encoding: Annotated[str, typer.Option(help="auto, utf-8, utf-16 or gb18030.")] = "auto",
    source: Annotated[
        str | None, typer.Option(help="Whose decisions a labelled file brings (default: its name).")
    ] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="ROLE=NAME where names differ: pid=…, text=…, hit_word=…")
    ] = None,
    trust: Annotated[
        SourceTrust | None,
        typer.Option(help="What that source's word is worth (default: human; a suggestion decides nothing)."),
    ] = None,
    label_order: Annotated[
        str | None, typer.Option(help="What 0, 1, 2 mean in the label column: normal,suspicious,violation.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Import files into the pool. Rejected rows are reported, with line and reason; the rest goes in.

    Reading a file twice adds nothing; a longer export adds only what is new.
    """
    from core.labels import parse_order
    from core.services.importing import ImportRequest, queue_import

    with wrong_use():
        columns = _columns(column or [])
        encoding = _encoding(encoding)
        order = list(parse_order(label_order.split(",") if label_order else []))
    installation = open_installation()
    results = []
    for file in files:
        request = ImportRequest(
            str(file.resolve()),
            file.name,
            encoding,
            columns,
            source,
            trust=trust,
            label_order=order,
        )
        queued = queue_import(installation.engine, installation.actor, request, now=utc_now())
        ended = run_in_foreground(installation, queued)
        seconds = round((ended.finished_at - ended.started_at).total_seconds(), 3)  # type: ignore[operator]
        results.append({"file": file.name, "run": ended.id} | ended.result | {"seconds": seconds})
    run_follow_ups(installation)
    own = ("file", "run", "split_overlap_lines", "contradiction_lines")
    total = {key: sum(r[key] for r in results) for key in results[0] if key not in own}  # type: ignore[misc]
    total["seconds"] = round(total["seconds"], 3)
    show(total | {"files": results}, as_json=as_json, text=lambda: map(_import_line, results))


def _import_line(result: dict[str, Any]) -> str:
    line = (
        f"{result['file']}: {result['rows']:,} rows = {result['posts_added']:,} posts + {result['hits_added']:,} hits "
        f"+ {result['repeats']:,} repeats + {result['rejected']:,} rejected"
    )
    if result["decisions_added"]:
        line += f"; {result['decisions_added']:,} decisions"
    if result["posts_changed"]:
        line += f"; {result['posts_changed']:,} known posts have a new text"
    if result["split_overlaps"]:
        lines = ", ".join(f"{train} and {evaluation}" for train, evaluation in result["split_overlap_lines"])
        texts = "1 text stands" if result["split_overlaps"] == 1 else f"{result['split_overlaps']:,} texts stand"
        line += f"; {texts} both in its training and its evaluation split (lines {lines})"
    if result["contradictions"]:
        lines = ", ".join(map(str, result["contradiction_lines"]))
        labels = "1 label is" if result["contradictions"] == 1 else f"{result['contradictions']:,} labels are"
        line += f"; {labels} not what an earlier line says of the same post (lines {lines}); the last one counts"
    if result["rejected"]:
        line += f" (`tiebreak runs show {result['run']}` lists them)"
    return line


def status(as_json: Json = False) -> None:
    """Show where things stand: posts, pool, decisions, active model, runs."""
    from core.services.status import status_of

    found = status_of(open_installation().engine)
    show(found, as_json=as_json, text=lambda: _status_lines(found))


def _status_lines(found: Any) -> Iterable[str]:
    labels = ", ".join(f"{name} {count:,}" for name, count in found.decided_by_label.items())
    yield f"posts         {found.posts:>10,}"
    yield f"pool          {found.pool:>10,}"
    yield f"decided       {found.decided:>10,}  ({labels})"
    yield f"audit slice   {found.audit_posts:>10,}  ({found.audit:,} decided)"
    yield f"active model  {found.active_model or 'none yet':>10}"
    yield f"scored        {found.scored:>10,}"
    for run in found.open_runs:
        yield f"{run.kind} run {run.id}: {run.status} {run.stage}"


def queue(
    limit: Annotated[int, typer.Option(help="How many posts to show.", min=1, max=100_000)] = 20,
    as_json: Json = False,
) -> None:
    """List the posts that come next, with the reason why each is shown."""
    from core.services.queueing import head_of_queue

    installation = open_installation()
    head = head_of_queue(installation.engine, installation.actor, limit=limit)
    listed = [
        {"post_id": q.post.id, "pid": q.post.pid, "text": q.post.text, "reason": q.entry.reason, "score": q.entry.score}
        for q in head
    ]
    show(listed, as_json=as_json, text=lambda: _queue_lines(listed))


def _queue_lines(listed: list[dict[str, Any]]) -> Iterable[str]:
    if not listed:
        yield "The queue is empty. `tiebreak import FILE` brings posts."
    for post in listed:
        score = "" if post["score"] is None else f"{post['score']:.3f}"
        yield f"{post['post_id']:>8}  {post['pid'] or '-':>10}  {post['reason']:<16} {score:>6}  {post['text'][:60]}"


def decide(
    post_id: Annotated[int, typer.Argument(help="The post's id, as `tiebreak queue` lists it.")],
    label: Annotated[str, typer.Argument(help="normal, suspicious or violation (or 合规, 疑似, 违规).")],
    as_user: Annotated[str, typer.Option("--as", help="Name of the user whose decision it is.")],
    as_json: Json = False,
) -> None:
    """Record one decision as a user."""
    from core.labels import parse_label
    from core.services.annotation import decide_post

    with wrong_use():
        chosen = Label[parse_label(label)]
    installation = open_installation()
    made = decide_post(
        installation.engine,
        installation.actor,
        user_name=as_user,
        post_id=post_id,
        label=chosen,
        now=utc_now(),
    )
    value = asdict(made) | {"label": chosen.name}  # the name is the truth, the integer only an order
    show(value, as_json=as_json, text=lambda: [f"Post {post_id}: {chosen.name}"])
