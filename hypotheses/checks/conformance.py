"""``neuronull check``: every check of a null model, a hypothesis or a model, and the certificate.

The number of checks that ran is printed and pinned by a test for each null of the catalogue: it may not shrink
silently.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from ...data.corpora import load_corpus
from ...data.errors import InputError
from ...data.measurements import Measurements
from ...data.models import load_model
from ...data.options import MeasureOptions
from ...data.registry import import_target, suggestion
from ..hypothesis import Hypothesis
from ..nulls.base import NullModel
from .hypothesis_checks import HYPOTHESIS_CHECKS, HypothesisSubject
from .model_checks import MODEL_CHECKS, ModelSubject
from .null_checks import NULL_CHECKS, Subject
from .outcome import Check, Report, ran

DOCUMENTS, CONTEXT = 4, 48
"""What a model is checked on."""

__all__ = ["Check", "Report", "check", "check_model", "checks_of", "each_check", "kind_of", "name_of", "resolve"]


def check(target: Any, measurements: Measurements | None = None) -> Report:
    """Run every check on a target.

    Parameters
    ----------
    target
        A registered null model or hypothesis, ``module:attribute``, or the object itself (a class counts as its
        instance).
    measurements
        Measurements that a hypothesis is checked on; by default small planted ones.

    Returns
    -------
    Report
        One entry per check: passed, failed or skipped, with its reason.

    Raises
    ------
    InputError
        If there is no such target, or it is neither.
    """
    found = resolve(target)
    return Report(name_of(found), kind_of(found), tuple(each_check(found, measurements)))


def check_model(options: MeasureOptions) -> tuple[str, Iterator[Check]]:
    """Load a model and check it: its name, and the outcomes one by one, as they come.

    Parameters
    ----------
    options
        Name the model, where and how it runs, and the corpus that a few documents are taken from.

    Raises
    ------
    InputError
        If the model or the corpus cannot be had, or no adapter serves the model.
    """
    loaded = load_model(
        options.model, options.revision, options.device, options.dtype, seed=options.seed, attention=options.attention
    )
    longest = min(CONTEXT, getattr(loaded.config, "max_position_embeddings", None) or CONTEXT)
    corpus = load_corpus(options.corpus, loaded.tokenizer, DOCUMENTS, longest, "none")
    subject = ModelSubject(loaded, corpus.documents["input_ids"].tolist(), options)
    return loaded.id, (ran(name, partial(work, subject)) for name, work in MODEL_CHECKS.items())


def each_check(found: NullModel | Hypothesis, measurements: Measurements | None = None) -> Iterator[Check]:
    """Outcomes one by one, as they come."""
    for name, work in checks_of(found, measurements).items():
        yield ran(name, work)


def checks_of(found: NullModel | Hypothesis, measurements: Measurements | None = None) -> dict[str, Callable[[], str]]:
    """Checks of a resolved target by id; each is called without arguments."""
    if isinstance(found, NullModel):
        subject = Subject(found)
        return {name: partial(work, subject) for name, work in NULL_CHECKS.items()}
    whole = HypothesisSubject(found, measurements)
    return {name: partial(work, whole) for name, work in HYPOTHESIS_CHECKS.items()}


def resolve(target: Any) -> NullModel | Hypothesis:
    """Object that `target` names.

    Raises
    ------
    InputError
        If there is none, or it is neither a null model nor a hypothesis.
    """
    found = _named(target) if isinstance(target, str) else target
    found = found() if inspect.isclass(found) and issubclass(found, NullModel) else found
    if not isinstance(found, (NullModel, Hypothesis)):
        raise InputError(f"{target} is a {type(found).__name__}, neither a null model nor a hypothesis", "TARGET",
                         "derive it from neuronull.NullModel")  # fmt: skip
    return found


def _named(name: str) -> Any:
    from .. import catalogue

    if ":" in name:
        return import_target(name, "TARGET")
    if name in catalogue.nulls:
        return catalogue.nulls.get(name)
    hypotheses = catalogue.known_hypotheses()
    if name in hypotheses:
        return hypotheses[name]
    known = (*catalogue.nulls.names(), *hypotheses)
    raise InputError(f"there is no null model or hypothesis {name!r}", "TARGET",
                     suggestion(name, known) or "neuronull ls nulls lists them; or give module:attribute")  # fmt: skip


def name_of(found: NullModel | Hypothesis) -> str:
    """Name of a null model, id of a hypothesis."""
    return str(found.name) if isinstance(found, NullModel) else found.id


def kind_of(found: NullModel | Hypothesis) -> str:
    """What sort of target it is, in words."""
    return f"null model of {found.randomises}" if isinstance(found, NullModel) else "hypothesis"
