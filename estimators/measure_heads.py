"""Effects of attention heads, as measurements: a second round of measuring, for who asks for it.

It costs most of a run (`heads`), and only claims about attention need it.
"""

from __future__ import annotations

from dataclasses import replace

from ..data.measurements import Measurements
from ..data.models import LoadedModel
from ..data.options import MeasureOptions, Progress, Silent
from .audit_heads import audit_heads
from .heads import HeadAblation, head_effects
from .measure import measure_more

ABLATION: HeadAblation = "mean"
"""What replaces a head in a run."""


def measure_heads(
    options: MeasureOptions, measurements: Measurements, progress: Progress | None = None, cache: bool = True
) -> Measurements:
    """Return the measurements with the head effects in them, audited.

    Parameters
    ----------
    options
        Those that `measurements` were made with: they name the model, which is loaded again.
    measurements
        What was measured on it: documents, panel and the neurons' standard deviations.
    progress
        Where stages are reported.
    cache
        Whether the cache may be read and written.

    Returns
    -------
    Measurements
        Further manifest keys: ``head_ablation`` and ``audit_heads`` (`neuronull.estimators.audit_heads`).

    Raises
    ------
    InputError
        If the model is no longer the one that was measured, or there is not enough memory.
    AuditError
        If the audit finds a defect.
    ValueError
        If `measurements` hold no standard deviations.
    """
    if measurements.neurons is None:
        raise ValueError("head effects are in units of the neurons' standard deviations: measure the neurons first")
    sd, reported = measurements.neurons["sd"].to_numpy(), progress or Silent()

    def work(loaded: LoadedModel, bare: Measurements) -> Measurements:
        documents, layer = bare.documents["input_ids"].tolist(), bare.manifest.layer
        heads = head_effects(loaded, documents, bare.panel, layer, sd, ablation=ABLATION, progress=reported)
        audit = audit_heads(
            loaded, documents, bare.panel, layer, sd, heads,
            ablation=ABLATION, seed=bare.manifest.seed, progress=reported,
        )  # fmt: skip
        told = {"head_ablation": ABLATION, "audit_heads": audit.model_dump(mode="json")}
        return replace(bare, heads=heads, manifest=bare.manifest.model_copy(update=told))

    found = measure_more(options, measurements, {"heads": ABLATION}, work, reported, cache)
    return replace(measurements, heads=found.heads, manifest=found.manifest)
