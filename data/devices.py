"""Which device a model runs on."""

from __future__ import annotations

import logging

import torch

from .errors import InputError

_log = logging.getLogger(__name__)

ALL = "cuda:all"
"""Every CUDA device that is visible: the model is on the first, and engines may use the others."""


def all_devices(device: str) -> list[torch.device]:
    """Return the devices that documents may be worked on beside each other; none where the option names one.

    Parameters
    ----------
    device
        A ``--device`` option.
    """
    if device != ALL:
        return []
    return [resolve_device(f"cuda:{number}") for number in range(torch.cuda.device_count())]


def resolve_device(device: str) -> torch.device:
    """Return the torch device of a ``--device`` option.

    Parameters
    ----------
    device
        ``auto`` is a CUDA device where one is here and works, else the CPU, also where there is another accelerator:
        Apple's MPS has no float64, which the audits need, and on others nothing was ever measured.  ``cuda:all`` is
        the first CUDA device here.

    Raises
    ------
    InputError
        If it is not one of ``auto``, ``cpu``, ``cuda``, ``cuda:N``, ``cuda:all``, is not on this machine, or does not
        work.
    """
    if device == "auto":
        return _best()
    asked, device = device, "cuda:0" if device == ALL else device
    kind, _, index = device.partition(":")
    if device != "cpu" and (kind != "cuda" or (":" in device and not (index.isascii() and index.isdecimal()))):
        known = kind not in ("cpu", "cuda") and _accelerator(kind)
        what = f"nothing is measured on {kind} devices" if known else f"{device!r} is not a device"
        raise InputError(what, "--device", "give auto, cpu, cuda, cuda:N or cuda:all")
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError("this PyTorch finds no CUDA device", f"--device {asked}", "use --device cpu")
    if index and int(index) >= torch.cuda.device_count():
        raise InputError(
            f"there are {torch.cuda.device_count()} CUDA devices", f"--device {device}", "count them from cuda:0"
        )
    found = torch.device(device)
    said = _fault(found)
    if said:
        raise InputError(f"this PyTorch cannot compute on {found} ({said})", f"--device {device}", "use --device cpu")
    return found


def _best() -> torch.device:
    """A CUDA device that works, else the CPU."""
    if torch.cuda.is_available():
        found = torch.device("cuda")
        said = _fault(found)
        if not said:
            return found
        _log.warning("the model runs on the CPU: this PyTorch cannot compute on the CUDA device (%s)", said)
    return torch.device("cpu")


def _accelerator(kind: str) -> bool:
    """Whether PyTorch knows a device of this name."""
    try:
        return torch.device(kind).type == kind
    except RuntimeError:
        return False


def _fault(device: torch.device) -> str:
    """What goes wrong in a first computation on a device; empty where nothing does.

    A driver may list a card that this build of PyTorch has no kernels for.
    """
    if device.type == "cpu":
        return ""
    try:
        torch.ones(1, device=device).add_(1).item()
    except torch.OutOfMemoryError:
        return ""  # a card in use by others is a matter for the loading, which says so
    except RuntimeError as error:
        return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    return ""
