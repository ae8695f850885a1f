"""What stands behind charts of the analyst's room, as CSV; the same view as the page's, by the same address."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Engine
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from core.clock import utc_now
from core.distributions import Quantity, read_part
from core.domain import Actor, Session
from core.errors import BadInput, Conflict, NotFound, TiebreakError
from core.post_filter import PostFilter
from core.services import changing, columns, looking, thresholding, trusting, wordlist
from core.services.columns import Columns
from core.sheets import Sheet, SheetForm, write_sheet
from core.wording import _
from ui.server import runtime
from ui.server.refusals import refusal_of

OWN = ("version", "of", "part", "before")
Make = Callable[[Engine, Actor, Columns, PostFilter, dict[str, str], datetime], Sheet]


def _distribution(
    engine: Engine, actor: Actor, found: Columns, narrowed: PostFilter, own: dict[str, str], now: datetime
) -> Sheet:
    return looking.export_bars(engine, actor, found, of=_quantity(own), post_filter=narrowed, now=now)


def _quantity(own: dict[str, str]) -> Quantity:
    if own["of"] not in Quantity.__members__:
        raise BadInput(
            _("{value!r} is not known for {name!r}; there are: {known}.").format(
                value=own["of"][:40], name="of", known=", ".join(Quantity)
            )
        )
    return Quantity(own["of"])


def _triangle(
    engine: Engine, actor: Actor, found: Columns, narrowed: PostFilter, own: dict[str, str], now: datetime
) -> Sheet:
    return looking.export_cells(engine, actor, found, post_filter=narrowed, now=now)


def _posts(
    engine: Engine, actor: Actor, found: Columns, narrowed: PostFilter, own: dict[str, str], now: datetime
) -> Sheet:
    return looking.export_posts(engine, actor, found, part=read_part(own["part"]), post_filter=narrowed, now=now)


def _judged(
    engine: Engine, actor: Actor, found: Columns, narrowed: PostFilter, own: dict[str, str], now: datetime
) -> Sheet:
    return trusting.export_judged(engine, actor, found, version=own["version"], post_filter=narrowed, now=now)


def _words(
    engine: Engine, actor: Actor, found: Columns, narrowed: PostFilter, own: dict[str, str], now: datetime
) -> Sheet:
    return wordlist.export_words(engine, actor, found, post_filter=narrowed, now=now)


def _pieces(
    engine: Engine, actor: Actor, found: Columns, narrowed: PostFilter, own: dict[str, str], now: datetime
) -> Sheet:
    return wordlist.export_pieces(engine, actor, found, post_filter=narrowed, now=now)


def _frontier(
    engine: Engine, actor: Actor, found: Columns, narrowed: PostFilter, own: dict[str, str], now: datetime
) -> Sheet:
    return thresholding.export_frontier(engine, actor, found, version=own["version"], now=now)


def _weeks(
    engine: Engine, actor: Actor, found: Columns, narrowed: PostFilter, own: dict[str, str], now: datetime
) -> Sheet:
    return changing.export_weeks(engine, actor, found, of=_quantity(own), post_filter=narrowed, now=now)


def _change(
    engine: Engine, actor: Actor, found: Columns, narrowed: PostFilter, own: dict[str, str], now: datetime
) -> Sheet:
    before, of = _columns(engine, actor, own["before"]), _quantity(own)
    return changing.export_change(engine, actor, before, found, of=of, post_filter=narrowed, now=now)


def _flips(
    engine: Engine, actor: Actor, found: Columns, narrowed: PostFilter, own: dict[str, str], now: datetime
) -> Sheet:
    before = _columns(engine, actor, own["before"])
    return changing.export_flips(engine, actor, before, found, post_filter=narrowed, now=now)


def _columns(engine: Engine, actor: Actor, version: str) -> Columns:
    found = columns.find(engine, actor, runtime.require().settings, version=version)
    if found is None:
        raise Conflict(_("The posts have changed since; open the page again, then export."))
    return found


TABLES: dict[str, Make] = {
    "distribution": _distribution,
    "triangle": _triangle,
    "posts": _posts,
    "judged": _judged,
    "words": _words,
    "pieces": _pieces,
    "frontier": _frontier,
    "weeks": _weeks,
    "change": _change,
    "flips": _flips,
}


def download(request: Request) -> Response:
    """GET /api/look/NAME.csv?version=VERSION, with of= or part=, and the filter's own parameters."""
    session: Session = request.state.session
    running, now, name = runtime.require(), utc_now(), request.path_params["name"]
    actor = session.user.actor
    try:
        if name not in TABLES:
            raise NotFound(_("There is no list {name!r}.").format(name=name[:40]))
        said = {key: request.query_params.getlist(key) for key in request.query_params}
        narrowed = PostFilter.from_query(said, beside=OWN)
        own = {key: said.get(key, [""])[0] for key in OWN}
        found = _columns(running.engine, actor, own["version"])
        sheet = TABLES[name](running.engine, actor, found, narrowed, own, now)
    except TiebreakError as err:
        return refusal_of(err)
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"', "Cache-Control": "no-store"}
    return StreamingResponse(write_sheet(sheet, SheetForm.csv), media_type=SheetForm.csv.media_type, headers=headers)


routes = [Route("/api/look/{name}.csv", download, methods=["GET"])]
