"""Errors that people read: each message names the value, what was expected, and the next step."""


class TiebreakError(Exception):
    """Something a person can understand and mend; shown as it is, without a traceback."""


class BadInput(TiebreakError):
    """What came in (a file, a field, an option) cannot be used; the message says where and why."""


class SettingsError(TiebreakError):
    """The deployment's environment asks for something that cannot be had."""


class NotFound(TiebreakError):
    """The named thing does not exist (any more)."""


class NotAllowed(TiebreakError):
    """The actor's role does not cover the action."""


class Conflict(TiebreakError):
    """The state of things forbids the action now; the message says what would allow it."""


class LeaseLost(TiebreakError):
    """The lease ended and the post is held or decided by somebody else."""


class SignInFailed(TiebreakError):
    """Name and password do not match, or too many tries: deliberately the same for all causes."""


class Cancelled(TiebreakError):
    """A person asked the run to stop."""
