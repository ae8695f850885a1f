"""Passwords and secrets: what a password must be, argon2id hashes, random tokens and the hashes they are stored under.

The rules are those of NIST SP 800-63B-4 for a password that is the only proof: long, none of those that are guessed
first, and nothing else; no mixture of kinds of characters, no expiry.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import unicodedata
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from core.errors import BadInput
from core.wording import _

MIN_LENGTH = 15
MAX_LENGTH = 200  # argon2 would hash megabytes
LEAST_LEFT = 8  # characters beside the pieces that are guessed first
LEAST_DIFFERENT = 5  # characters
TOKEN_BYTES = 32  # 256 bits
NO_PASSWORD = "!"  # stored for an account that signs in otherwise

# What long passwords of published breaches are put together from. Longest first: `password` before `pass`.
GUESSED_FIRST = sorted(
    (
        "password passwort passwd passw0rd p@ssw0rd p@ssword pass letmein welcome admin administrator root user "
        "login master secret changeme default guest test testing qwerty qwertz azerty asdf zxcv qazwsx 1q2w3e4r "
        "1qaz2wsx q1w2e3r4 iloveyou iloveu ilove love baby angel princess sunshine monkey dragon football baseball "
        "superman batman pokemon starwars shadow michael jordan charlie daniel jessica ashley abc123 a123456 123123 "
        "123321 112233 121212 654321 666666 888888 520520 5201314 1314520 1314521 woaini woaiwojia aini nihao "
        "mima wodemima zhang wang123 taobao baidu tencent qq123456 moderator moderation forum tiebreak label "
        "hello freedom whatever trustno1 summer winter spring autumn"
    ).split(),
    key=len,
    reverse=True,
)
ROWS = ("abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "!@#$%^&*()")
PIECE_OF_A_ROW = 3


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()  # RFC 9106, low-memory profile


def rules_in_words() -> str:
    """What a password must be, for whoever is to choose one."""
    return _(
        "{least} to {most} characters of any kind; several words are easy to remember. Not put together from your "
        "name, common passwords, or rows of the keyboard."
    ).format(least=MIN_LENGTH, most=MAX_LENGTH)


def check_password(password: str, *, name: str) -> None:
    """Raises BadInput, which says what is wrong, for a password that the rules forbid. name: of the account."""
    length = len(_normal(password))
    if not MIN_LENGTH <= length <= MAX_LENGTH:
        said = _("A password has {least} to {most} characters; this one has {length}.")
        raise BadInput(said.format(least=MIN_LENGTH, most=MAX_LENGTH, length=length))
    if len(set(password.casefold())) < LEAST_DIFFERENT:
        raise BadInput(_("This password repeats a few characters and would be guessed first; choose another one."))
    if len(_hard_to_guess(password, name=name)) < LEAST_LEFT:
        raise BadInput(
            _(
                "This password is put together from what is guessed first: your name, common passwords, rows and "
                "repetitions. Choose another one, such as four words that have nothing to do with each other."
            )
        )


def _hard_to_guess(password: str, *, name: str) -> str:
    """What is left of a password without the pieces that are guessed first, and said once where it is repeated."""
    left = _normal(password).casefold()
    own = [piece for piece in re.split(r"\W+", _normal(name).casefold()) if len(piece) > 2]
    for piece in [*own, *GUESSED_FIRST]:
        left = left.replace(piece, "")
    for row in ROWS:
        left = _without_rows(_without_rows(left, row), row[::-1])
    left = re.sub(r"(.)\1{2,}", r"\1", left)  # aaa counts as a
    return re.sub(r"(.+?)\1+", r"\1", left)


def _without_rows(text: str, row: str) -> str:
    """The text without pieces of a row of the keyboard or the alphabet, each as long as it goes."""
    kept, at = [], 0
    while at < len(text):
        end = at
        while end < len(text) and text[at : end + 1] in row:
            end += 1
        if end - at < PIECE_OF_A_ROW:
            kept.append(text[at])
            end = at + 1
        at = end
    return "".join(kept)


def hash_password(password: str, *, name: str) -> str:
    """The hash to store. Raises BadInput for a password that the rules forbid."""
    check_password(password, name=name)
    return _hasher().hash(_normal(password))


def is_password(password: str, stored: str | None) -> bool:
    """Whether the password belongs to the hash; without one it takes as long to say no."""
    known = None if stored == NO_PASSWORD else stored
    # The second form: of passwords that were stored as they were typed, before there was one for what looks the same.
    forms = dict.fromkeys((_normal(password)[:MAX_LENGTH], password[:MAX_LENGTH]))
    is_right = any([_is_hash_of(known or _hash_of_nobody(), form) for form in forms])
    return is_right and known is not None


def _is_hash_of(stored: str, password: str) -> bool:
    try:
        return _hasher().verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


def _normal(password: str) -> str:
    """One form for what looks the same: a full-width letter on one keyboard is a plain one on another."""
    return unicodedata.normalize("NFKC", password)


@cache
def _hash_of_nobody() -> str:
    return _hasher().hash(secrets.token_urlsafe())


def new_token() -> str:
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_hash(token: str) -> str:
    """A token is random already: one fast hash keeps a stolen database from opening doors."""
    return hashlib.sha256(token.encode()).hexdigest()
