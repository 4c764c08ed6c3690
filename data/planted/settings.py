"""The settings of planted measurements: how hard the null data are, and how strong each effect (0 = absent)."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

Law: TypeAlias = Literal["lognormal", "Weibull", "Pareto"]
LAWS: tuple[Law, ...] = ("lognormal", "Weibull", "Pareto")

Piece: TypeAlias = Literal["influence", "activations", "heads", "weights", "effects"]
PIECES: tuple[Piece, ...] = ("influence", "activations", "heads", "weights")
"""What is made unless other pieces are asked for."""
ALL_PIECES: tuple[Piece, ...] = (*PIECES, "effects")

SMALLEST_PLATEAU = 8


@dataclass(frozen=True)
class Settings:
    """One planted world.  The defaults are null data as hard as reality; every strength is 0.

    Size
        ``documents``; ``pairs`` matched rare and common positions a document on average, ``pairs_spread`` their
        relative spread; ``spare`` unmatched common positions a document; ``neurons``; ``width`` d;
        ``plateau_share`` of the neurons, at least 8; ``heads`` reachable single heads.
    Influence (unit: log nats unless said)
        ``law`` and ``influence_sd`` of true log influence; ``document_sd`` of a document, both classes;
        ``document_class_sd`` of a document in one class, all neurons; ``document_neuron_sd`` of a document, class and
        neuron; ``sources`` that documents come from in equal parts (0 = each its own), ``source_neuron_sd`` of a
        source, neuron and rare, ``source_head_sd`` of a source, head and rare on the plateau; ``scatter`` of a neuron
        between the classes, without any plateau; ``class_shift`` of all neurons on rare; ``position_sd``;
        ``neighbours``, the share of position noise that ten neighbouring neurons have in common; ``exponent``:
        influence on rare goes as that power of influence on common, and ``curvature`` adds a parabola in log
        influence; ``noise_spread``: sd between neurons of the log of their position noise; ``rare_noise``: by how many
        times the noise of positions and documents is larger on rare; ``rare_bursts``: share of a neuron's influence on
        rare that one in fifty positions holds; ``loss_gap``, nats of loss
        that rare positions lie above common ones; ``loss_slope`` per nat, by which influence follows the loss.
    Covariates
        ``covariate_link``: correlation of true log influence with activation scale and output norm.
        ``covariate_lean``: log ratio of rare to common influence that one sd of the same covariates adds.
        ``confounding``: log loading on the diffuse factors that one sd of log activation scale adds; with a strong
        link, influential neurons are then more correlated, and more modular, without forming a plateau of any kind.
    Activations (shares of a neuron's latent variance)
        ``loading``, the mean share of the layer's global mode (heterogeneous); ``background``, standard deviation
        of true pairwise correlation from six diffuse factors; ``document_share`` of documents; ``block_share`` of
        ten neighbours; ``sparsity``, the largest firing threshold in latent sd (heterogeneous: uniform from -.5;
        -inf for linear neurons).
    Heads (unit: log effect)
        ``head_sd`` between heads, ``head_neuron_sd`` of head x neuron, ``head_document_sd`` of head x document and
        head x document x class, ``head_noise_sd`` of every entry; ``head_class_sd`` of head x class, alike for all
        neurons; ``head_scatter`` of neuron x class; ``plateau_head_scale``, by which heads act more on the plateau
        in *both* classes; ``unreachable`` heads.
    Effects on whole distributions
        ``effect_noise_sd`` of a document, class, neuron and effect, log nats.  ``effect_confounding``: by how many of
        their own sd the neurons' effects (relative to that on the loss), log output norm and the logits of its shares
        rise per sd of log activation scale.
    Effects, strength 0 = absent
        ``specialists``: relative excess of the plateau's influence on rare (.2 = a fifth stronger). ``flat_rare``,
        ``flat_both``: share by which the head's log influence is drawn to that of its last neuron (1 = flat, -1 =
        twice as steep), for rare or for both classes; ``raised_rare``, ``raised_both``: log ranks by which the head is
        lifted above its power law. ``recruited``: share by which the spread of log influence on rare is narrowed.
        ``core``: share that ``core_neurons`` neurons of the plateau have in common; ``modules``, ``cohesion``,
        ``mirrored``: shares of latent variance that two blocks of the plateau, all of it, or all of it with random
        signs have in common. ``routing``: relative excess of one head's effect on the plateau for rare, ``router``
        that head's number in order of strength; ``routing_all``: the same of every head. ``concentrated``: relative
        excess of the spread of log head effect on the plateau. ``profile``: sd of head x class on the plateau alone,
        log effect. ``weight_cluster``: cosine that the plateau's weight rows share. ``weight_tail``: exponent by which
        the singular values of the plateau's output rows fall. ``index_cluster``: share of the plateau at neighbouring
        indices. Of marked entropy neurons: ``entropy_norm`` and ``entropy_weak`` raise log output norm and the logit
        of its share in weak directions; ``entropy_scale`` and ``entropy_frequency`` are relative reductions of what is
        left of the effect on the loss with the scale, or token frequencies, frozen. Of marked token-frequency neurons:
        ``token_effect``, the latter reduction; ``token_unigram`` raises the log effect on the distance to token
        frequencies; ``token_direction`` raises the logit of the share of output weights along token frequency.
    """

    documents: int = 60
    pairs: int = 24
    pairs_spread: float = 0.25
    spare: int = 2
    neurons: int = 480
    width: int = 64
    plateau_share: float = 0.017
    heads: int = 12

    law: Law = "lognormal"
    influence_sd: float = 1.0
    document_sd: float = 0.3
    document_class_sd: float = 0.15
    document_neuron_sd: float = 0.15
    sources: int = 0
    source_neuron_sd: float = 0.0
    source_head_sd: float = 0.0
    scatter: float = 0.15
    class_shift: float = 0.3
    position_sd: float = 0.8
    neighbours: float = 0.2
    loss_gap: float = 0.3
    loss_slope: float = 0.1

    exponent: float = 1.0
    curvature: float = 0.0
    noise_spread: float = 0.0
    rare_noise: float = 1.0
    rare_bursts: float = 0.0

    covariate_link: float = 0.3
    covariate_lean: float = 0.0
    confounding: float = 0.0

    loading: float = 0.1
    background: float = 0.05
    document_share: float = 0.1
    block_share: float = 0.05
    sparsity: float = 1.5

    head_sd: float = 0.7
    head_neuron_sd: float = 0.2
    head_document_sd: float = 0.2
    head_noise_sd: float = 0.3
    head_class_sd: float = 0.2
    head_scatter: float = 0.0
    plateau_head_scale: float = 0.5
    unreachable: int = 2

    effect_noise_sd: float = 0.15
    effect_confounding: float = 0.0

    specialists: float = 0.0
    flat_rare: float = 0.0
    flat_both: float = 0.0
    raised_rare: float = 0.0
    raised_both: float = 0.0
    recruited: float = 0.0
    modules: float = 0.0
    core: float = 0.0
    core_neurons: int = 8
    cohesion: float = 0.0
    mirrored: float = 0.0
    routing: float = 0.0
    router: int = 2
    routing_all: float = 0.0
    concentrated: float = 0.0
    profile: float = 0.0
    weight_cluster: float = 0.0
    weight_tail: float = 0.0
    index_cluster: float = 0.0
    entropy_norm: float = 0.0
    entropy_weak: float = 0.0
    entropy_scale: float = 0.0
    entropy_frequency: float = 0.0
    token_effect: float = 0.0
    token_unigram: float = 0.0
    token_direction: float = 0.0

    def __post_init__(self) -> None:
        if self.law not in LAWS:
            raise ValueError(f"law must be one of {', '.join(LAWS)}, got {self.law!r}")
        for name in ("documents", "pairs", "neurons", "width", "heads"):
            if getattr(self, name) < 2:
                raise ValueError(f"{name} must be at least 2, got {getattr(self, name)}")
        for name in (
            "pairs_spread",
            "neighbours",
            "covariate_link",
            "recruited",
            "index_cluster",
            "weight_cluster",
        ):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share and must lie in [0, 1], got {getattr(self, name)}")
        for name in ("flat_rare", "flat_both"):
            if not getattr(self, name) <= 1:
                raise ValueError(f"{name} is at most 1 (level), got {getattr(self, name)}")
        for name in ("entropy_scale", "entropy_frequency", "token_effect", "rare_bursts"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is a share and must lie in [0, 1), got {getattr(self, name)}")
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("_sd") and value < 0:
                raise ValueError(f"{field.name} must not be negative, got {value}")
            if isinstance(value, float) and math.isnan(value):
                raise ValueError(f"{field.name} is nan")
        if self.latent_shares >= 1:
            raise ValueError(
                f"shares of latent variance add up to {self.latent_shares:.2f}; lower modules, cohesion or mirrored"
            )

    @property
    def n_head(self) -> int:
        """Neurons of the planted plateau."""
        return max(SMALLEST_PLATEAU, round(self.plateau_share * self.neurons))

    @property
    def latent_shares(self) -> float:
        """Largest share of a neuron's latent variance that it has in common with anything."""
        common = self.loading * 2 + self.document_share + self.block_share + self.background * math.sqrt(6) * 2
        return common + self.modules + self.core + self.cohesion + self.mirrored
