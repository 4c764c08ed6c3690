"""The one exception for input that cannot be used: what, where, the hint."""

from __future__ import annotations


class InputError(ValueError):
    """Input that the user can hint.

    Parameters
    ----------
    what
        What is wrong, with the offending value.
    where
        The file, option or argument it came from; empty where `what` already says it.
    hint
        What to do about it.

    Notes
    -----
    ``str(error)`` is one line, ``what (where); hint``; the command line prints it behind ``error:`` and exits with 2.
    """

    def __init__(self, what: str, where: str = "", hint: str = "") -> None:
        self.what, self.where, self.hint = what, where, hint
        text = what + (f" ({where})" if where else "") + (f"; {hint}" if hint else "")
        super().__init__(" ".join(text.split()))


class MissingInput(InputError):
    """A measurement that a hypothesis needs is not there: the hypothesis is left out, with this reason."""
