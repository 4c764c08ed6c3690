"""Only regular files are opened: a pipe would wait for ever, and a link to nothing is no absence."""

from __future__ import annotations

import stat
from pathlib import Path

from .errors import InputError


def present(path: Path, where: str = "") -> bool:
    """Whether a regular file is there.

    Parameters
    ----------
    path
        Links are followed.
    where
        The option or file that errors name.

    Raises
    ------
    InputError
        If something else is there (a folder, a pipe, a device), a link that leads nowhere, or it cannot be looked at.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            raise InputError(f"{path.name} is a link to a file that is not there", where,
                             "mend the link, or remove it") from None  # fmt: skip
        return False
    except (OSError, ValueError) as error:  # ValueError: a name with NUL
        said = getattr(error, "strerror", None) or error
        raise InputError(f"{path.name} cannot be read: {said}", where, "check the path") from None
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "no regular file"
        raise InputError(f"{path.name} is {kind}", where, "give a regular file")
    return True
