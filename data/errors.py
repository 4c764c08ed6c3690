"""The one exception for input that cannot be used: what, where, the mend."""

from __future__ import annotations


class InputError(ValueError):
    """Input that the user can mend.

    Parameters
    ----------
    what
        What is wrong, with the offending value.
    where
        The file, option or argument it came from; empty where `what` already says it.
    mend
        What to do about it.

    Notes
    -----
    ``str(error)`` is one line, ``what (where); mend``; the command line prints it behind ``error:`` and exits with 2.
    """

    def __init__(self, what: str, where: str = "", mend: str = "") -> None:
        self.what, self.where, self.mend = what, where, mend
        text = what + (f" ({where})" if where else "") + (f"; {mend}" if mend else "")
        super().__init__(" ".join(text.split()))


class MissingInput(InputError):
    """A measurement that a hypothesis needs is not there: the hypothesis is left out, with this reason."""
