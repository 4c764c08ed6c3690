"""The command line: arguments in, one line out when something is wrong, exit codes 0 to 3."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer

from ..data.errors import InputError
from .cache import app as cache_app
from .calibrate import calibrate
from .check import check
from .counts import counts
from .ls import ls, show
from .measure import measure
from .new import app as new_app
from .plan import plan
from .report import report
from .run import run
from .sweep import sweep

OK, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 3

app = typer.Typer(
    name="neuronull", add_completion=False, pretty_exceptions_enable=False, invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip
for command in (run, plan, sweep, measure, counts, report, ls, show, check, calibrate):
    app.command()(command)
app.add_typer(new_app, name="new")
app.add_typer(cache_app, name="cache")


@app.callback()
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Statistical tests of what people claim about the insides of language models."""
    if version:
        from .. import __version__

        typer.echo(f"neuronull {__version__}")
        raise typer.Exit(OK)
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and give its exit code.

    0 ran, whatever the verdicts; 1 a failed check; 2 bad input or usage, told in one line; 3 interrupted.
    """
    words = list(sys.argv[1:] if args is None else args)
    debug = "--debug" in words  # wherever it stands
    words = [word for word in words if word != "--debug"]
    _quiet_libraries(debug)
    # Threads that spin while they wait make a run five times as slow beside one busy process; torch reads this early.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        with _terminated_like_interrupted():
            return _invoke(_spread(words))
    except KeyboardInterrupt:
        return _end("interrupted; nothing was left half-written", INTERRUPTED, debug)
    except InputError as error:
        differences = getattr(error, "differences", [])
        for line in differences if len(differences) > 1 else []:  # a single one is in the error itself
            print(f"differs: {line}", file=sys.stderr)
        return _end(str(error), BAD_INPUT, debug)
    except typer.TyperException as error:
        return _end(_usage(error), BAD_INPUT, debug)
    except BrokenPipeError:  # neuronull ls | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except OSError as error:
        return _end(_system(error), BAD_INPUT, debug)
    except (MemoryError, RuntimeError) as error:
        if _failed_audit(error):
            return _end(f"the audit failed: {_first_line(error)}", FAILED, debug)
        if not _out_of_memory(error):
            raise
        hint = "give a smaller --batch, --context or --documents, or another --device"
        return _end(f"out of memory: {_first_line(error)}; {hint}", BAD_INPUT, debug)


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Clean up after SIGTERM and SIGHUP as after Ctrl-C: a run that a batch system ends leaves nothing half-written.

    A process that was told to ignore a signal (``nohup``) still does.
    """

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # only the main thread may set handlers
        yield
        return
    known = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]  # no SIGHUP on Windows
    before = {one: signal.signal(one, interrupt) for one in known if signal.getsignal(one) is not signal.SIG_IGN}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _invoke(words: list[str]) -> int:
    command = typer.main.get_command(app)
    try:
        with command.make_context("neuronull", words) as context:
            command.invoke(context)
    except typer.Exit as stop:
        return stop.exit_code
    return OK


def _end(text: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(f"error: {text}" if code != INTERRUPTED else text, file=sys.stderr)
    return code


def _spread(words: list[str]) -> list[str]:
    """Let some options take several values in a row: ``--only a b`` becomes ``--only a --only b``.

    Raises
    ------
    InputError
        If one of them is given none.
    """
    spread: list[str] = []
    several = ""
    for before, word in zip(["", *words], words, strict=False):
        if word.startswith("-"):
            if before and before == several:
                what = f"option {before} requires a value, and {word} follows"
                raise InputError(what, "neuronull run", "see neuronull run --help")
            several = word if word in ("--only", "--null", "--vary", "--margin", "--paper") else ""
        elif several and before != several:
            spread.append(several)
        spread.append(word)
    return spread


def _usage(error: typer.TyperException) -> str:
    """One line for a mistake in the arguments, with the nearest option or the place of the help."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "neuronull"
    options = getattr(getattr(error, "param", None), "opts", None)
    if isinstance(error, typer.BadParameter) and options and error.message:
        text, where = error.message.split(", unable")[0], options[0]
    else:
        text, where = error.message or error.format_message(), path
    text, asks, near = text.partition(" Did you mean ")
    near = near.strip("?'") if asks else next(iter(getattr(error, "possibilities", None) or ()), "")
    text = " ".join(text.split()).rstrip(".")
    hint = f"did you mean {near}?" if near else f"see {path} --help"
    return f"{text[:1].lower()}{text[1:]} ({where}); {hint}"


def _system(error: OSError) -> str:
    """One line for what the operating system, or a library in its name, refused."""
    where = f" ({error.filename})" if error.filename else ""
    hints = {errno.ENOSPC: "free some space, or choose another --out", errno.EDQUOT: "free some space",
             errno.EACCES: "check the permissions", errno.EROFS: "choose another place"}  # fmt: skip
    hint = f"; {hints[error.errno]}" if error.errno in hints else ""
    return f"{error.strerror or _first_line(error)}{where}{hint}"


def _out_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def _failed_audit(error: BaseException) -> bool:
    from ..estimators.audit import AuditError

    return isinstance(error, AuditError)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _quiet_libraries(debug: bool) -> None:
    """Keep the bars and notices of Hugging Face's libraries off the terminal; a user's own setting wins.

    They read these variables when they are imported.  Errors and Python warnings are not touched.
    """
    if debug:
        return
    for name, value in {
        "TRANSFORMERS_VERBOSITY": "error",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "TQDM_DISABLE": "1",  # of GGUF files
        "TOKENIZERS_PARALLELISM": "false",  # else it warns about the worker processes
    }.items():
        os.environ.setdefault(name, value)
