"""The command around families: list the largest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from ui.commands.console import Json, open_installation, show


def list_families(
    limit: Annotated[int, typer.Option(help="How many families to list.", min=1, max=1_000_000)] = 20,
    as_json: Json = False,
) -> None:
    """List the largest families of near-copies: size, representative, and members by pid.

    A post that came without a pid is named by its id here: `post 12`.
    """
    from core.services.families import representative_of, walk_families
    from db.families import FamilyMember

    def name(member: FamilyMember) -> str:
        return member.pid or f"post {member.post_id}"

    installation = open_installation()
    listed = [
        {
            "family": family.id,
            "size": len(members),
            "representative": name(representative_of(family, members)),
            "members": [name(member) for member in members],
            "text": family.text,
        }
        for family, members in walk_families(installation.engine, installation.actor, limit=limit)
    ]
    named = [{key: value for key, value in family.items() if key != "text"} for family in listed]
    show(named, as_json=as_json, text=lambda: _lines(listed))


def _lines(listed: list[dict[str, Any]]) -> Iterable[str]:
    if not listed:
        yield "There are no near-copies yet. `tiebreak import FILE` finds them."
        return
    yield f"{'family':>8}  {'size':>7}  {'representative':>14}  text"
    for family in listed:
        text = " ".join(family["text"].split())[:60]
        yield f"{family['family']:>8}  {family['size']:>7,}  {family['representative']:>14}  {text}"
