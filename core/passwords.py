"""Passwords and secrets: argon2id hashes, random tokens, and the hash under which a token is stored."""

from __future__ import annotations

import hashlib
import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from core.errors import BadInput

MIN_LENGTH = 10
MAX_LENGTH = 200  # argon2 would hash megabytes
TOKEN_BYTES = 32  # 256 bits


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()  # RFC 9106, low-memory profile


def hash_password(password: str) -> str:
    """Raises BadInput for a password that is too short or too long."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise BadInput(f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters; this one has {len(password)}.")
    return _hasher().hash(password)


def is_password(password: str, stored: str | None) -> bool:
    """Whether the password belongs to the hash; without one it takes as long to say no."""
    try:
        return _hasher().verify(stored or _hash_of_nobody(), password[:MAX_LENGTH]) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


@cache
def _hash_of_nobody() -> str:
    return _hasher().hash(secrets.token_urlsafe())


def new_token() -> str:
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_hash(token: str) -> str:
    """A token is random already: one fast hash keeps a stolen database from opening doors."""
    return hashlib.sha256(token.encode()).hexdigest()
