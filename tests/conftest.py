"""Fixtures: a real SQLite database with the real migrations, and people in it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from hypothesis import settings as hypothesis_settings
from sqlalchemy import Engine, insert, select

from core import passwords
from core.domain import Actor, Role
from core.settings import Settings, read_settings
from db.engine import migrate, open_engine, write
from db.tables import source, user

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

# On a machine that does other things too, how long an example took says nothing of the code.
hypothesis_settings.register_profile("tiebreak", deadline=None)
hypothesis_settings.load_profile("tiebreak")


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    """Hashes made by tests cost next to nothing; they carry their own costs, so that a served process reads them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", cache(lambda: PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)))
        yield


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return read_settings({"TIEBREAK_HOME": str(tmp_path), "HF_HOME": str(tmp_path / "hf")})


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database that the real migrations have made, once a session."""
    home = tmp_path_factory.mktemp("migrated")
    engine = open_engine(f"sqlite:///{home / 'tiebreak.db'}")
    migrate(engine, backups_dir=home)
    engine.dispose()
    return home / "tiebreak.db"


@pytest.fixture
def engine(settings: Settings, migrated: Path) -> Iterator[Engine]:
    settings.data_dir.mkdir(parents=True)
    shutil.copy(migrated, settings.database_path)
    engine = open_engine(settings.database_url)
    yield engine
    engine.dispose()


def add_user(engine: Engine, name: str, role: Role, *, now: datetime = NOW) -> Actor:
    """A user without a usable password, and the source of that person's decisions."""
    with write(engine) as conn:
        values = {"name": name, "role": role, "password_hash": "!", "created_at": now}
        user_id = conn.execute(insert(user).values(values).returning(user.c.id)).scalar_one()
        conn.execute(insert(source).values(kind="person", name=name, user_id=user_id))
    return Actor(user_id, name, role)


def rows(engine: Engine, table: object, **where: object) -> list[dict[str, Any]]:
    """All rows of a table as dicts, in primary-key order, filtered by equality."""
    with engine.connect() as conn:
        query = select(table).order_by(*table.primary_key.columns)  # type: ignore[attr-defined,call-overload]
        for name, value in where.items():
            query = query.where(table.c[name] == value)  # type: ignore[attr-defined]
        return [dict(row._mapping) for row in conn.execute(query)]


@pytest.fixture
def moderator(engine: Engine) -> Actor:
    return add_user(engine, "mo", Role.moderator)


@pytest.fixture
def second_moderator(engine: Engine) -> Actor:
    return add_user(engine, "mimi", Role.moderator)


@pytest.fixture
def lead(engine: Engine) -> Actor:
    return add_user(engine, "lea", Role.lead)


@pytest.fixture
def analyst(engine: Engine) -> Actor:
    return add_user(engine, "ana", Role.analyst)


# --- a tiny encoder ---------------------------------------------------------------------------------------------------

MARKERS = ("好好好", "疑疑疑", "坏坏坏")  # by label
CHARACTERS = "今天我们去公园看花吃饭说话好疑坏的了是不在有人这中大来上"


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder of 2 layers × 32 with random weights, saved from a masked language model: it brings no pooler."""
    import torch
    from transformers import BertConfig, BertForMaskedLM

    from core.learning.vocabulary import build_vocabulary, make_tokenizer

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "base" / "tiny"
    folder.mkdir(parents=True)
    vocabulary = build_vocabulary([CHARACTERS] * 9, size=200)
    tokenizer = make_tokenizer(vocabulary, folder, max_tokens=64)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        pad_token_id=tokenizer.pad_token_id,
    )
    BertForMaskedLM(config).save_pretrained(folder)
    return folder


def marked_text(label: int, n: int) -> str:
    """A text of that class: filler with the class's marker in the middle, no near-copy of another number's."""
    digits = hashlib.sha256(str(n).encode()).digest()
    filler = "".join(CHARACTERS[byte % 16] for byte in digits[: 12 + n % 9])
    return filler[:4] + MARKERS[label] + filler[4:]
