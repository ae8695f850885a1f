"""The sample forum: its generator still writes the shipped files, and an import takes all of them."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from ipaddress import ip_address, ip_network
from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy import Engine, select

from core.domain import Label, Run, Side
from core.settings import Settings
from core.text import normalised
from db import golds
from db.engine import read
from db.tables import decision, distinct_text, post
from tests.conftest import rows
from tests.core.services.conftest import import_file

FILES = ("forum.tsv", "labelled.jsonl")
DOCUMENTATION = [ip_network(block) for block in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]
MAX_BYTES = 1_200_000


def load_generator(settings: Settings) -> ModuleType:
    """The generator is a script beside its files, in no package."""
    spec = importlib.util.spec_from_file_location("sample_generator", settings.samples_dir / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:  # a dataclass looks its module up by name while it is made
        patch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
    return module


@pytest.fixture
def imports(engine: Engine, settings: Settings) -> tuple[Run, Run]:
    """The ended runs of forum.tsv and, after it, labelled.jsonl."""
    forum, labelled = (import_file(engine, settings.samples_dir / name) for name in FILES)
    return forum, labelled


def adds_up(result: dict[str, object]) -> bool:
    parts = ("posts_added", "hits_added", "repeats", "rejected")
    return result["rows"] == sum(int(str(result[name])) for name in parts)


def test_generator_writes_the_shipped_files_byte_for_byte(settings: Settings, tmp_path: Path) -> None:
    load_generator(settings).write_samples(tmp_path)
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (settings.samples_dir / name).read_bytes(), name


def test_files_stay_small(settings: Settings) -> None:
    assert sum((settings.samples_dir / name).stat().st_size for name in FILES) < MAX_BYTES


def test_forum_is_taken_whole_and_counts_add_up(engine: Engine, imports: tuple[Run, Run]) -> None:
    forum, _ = imports
    assert forum.result["rejected"] == 0
    assert adds_up(forum.result)
    assert 2_800 <= int(str(forum.result["rows"])) <= 3_300
    assert 1_150 <= len(rows(engine, post)) == forum.result["posts_added"] <= 1_250


def test_posts_hardly_repeat_each_other(engine: Engine, imports: tuple[Run, Run]) -> None:
    assert len({normalised(found["body"]) for found in rows(engine, distinct_text)}) >= 1_000


def test_labels_bring_decisions_and_no_posts(engine: Engine, imports: tuple[Run, Run]) -> None:
    _, labelled = imports
    counts = {name: labelled.result[name] for name in ("rows", "posts_added", "rejected", "posts_changed")}
    assert counts == {"rows": 400, "posts_added": 0, "rejected": 0, "posts_changed": 0}
    assert adds_up(labelled.result)
    assert labelled.result["decisions_added"] == len(rows(engine, decision)) == 400


def test_every_label_is_for_the_text_that_its_post_has(engine: Engine, imports: tuple[Run, Run]) -> None:
    with read(engine) as conn:
        assert golds.posts_on_old_texts(conn) == []
        pairs = select(decision.c.text_id, post.c.text_id).join_from(decision, post, decision.c.post_id == post.c.id)
        assert all(judged == current for judged, current in conn.execute(pairs))
        assert len(list(golds.gold_posts(conn))) == 400


def test_train_side_has_labels_of_every_class(engine: Engine, imports: tuple[Run, Run]) -> None:
    with read(engine) as conn:
        trained = Counter(gold.label for gold in golds.gold_posts(conn) if gold.side == Side.train)
    assert min(trained[label] for label in Label) >= 8


def test_addresses_are_those_reserved_for_documentation(engine: Engine, imports: tuple[Run, Run]) -> None:
    found = {row["ip"] for row in rows(engine, post)}
    assert all(any(ip_address(ip) in block for block in DOCUMENTATION) for ip in found)


def test_readme_states_the_counts_of_the_files(settings: Settings, engine: Engine, imports: tuple[Run, Run]) -> None:
    readme = (settings.samples_dir / "README.md").read_text(encoding="utf-8")
    forum, _ = imports
    assert f"{forum.result['posts_added']:,} posts in {forum.result['rows']:,} hit rows" in readme
    labels = Counter(row["label"] for row in rows(engine, decision))
    assert ", ".join(f"{labels[label]} {label.name}" for label in Label) in readme
