"""What a result tells about the neurons of the set under test, one by one: a description, without a test."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Snippet(BaseModel):
    """A token in its document: what stands before it, itself, and what follows."""

    model_config = ConfigDict(extra="forbid")
    document: int = Field(description="Row of the documents table")
    position: int = Field(description="Of the token in its document, from 0")
    before: str
    token: str
    after: str
    value: float | None = Field(default=None, description="Activation at the token, or loss of predicting it (nats)")


class Mean(BaseModel):
    """A mean over documents with its 95 % interval."""

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="null")
    mean: float
    low: float | None
    high: float | None


class NeuronCard(BaseModel):
    """One neuron of the set."""

    model_config = ConfigDict(extra="forbid")
    neuron: int
    halves: list[int] = Field(description="Halves of the documents, 0 and 1, that choose it")
    splits: float | None = Field(description="Share of random halves that choose it; None where no half chooses")
    influence: dict[str, Mean] = Field(description="Condition -> mean absolute change of the loss without it, nats")
    raised: list[str] = Field(description="Tokens whose logits rise most with its activation, directly")
    lowered: list[str] = Field(description="Tokens whose logits fall most")
    contexts: list[Snippet] = Field(description="Where it is most active, each in another document")


class PairCard(BaseModel):
    """A matched pair of positions, one of each condition, in their documents."""

    model_config = ConfigDict(extra="forbid")
    a: Snippet
    b: Snippet


class HeadCard(BaseModel):
    """An attention head that acts much on the set: mean change of its neurons' activations without it, in sd."""

    model_config = ConfigDict(extra="forbid")
    layer: int
    head: int = Field(description="-1: all heads of the layer together")
    effect: dict[str, float] = Field(description="Condition -> effect")


class Members(BaseModel):
    """Who the neurons of the set are; the first of those with the most influence, and examples of the positions."""

    model_config = ConfigDict(extra="forbid")
    set: str
    size: int = Field(description="Neurons that either half chooses")
    both: int = Field(description="Of these, chosen by both")
    splits: int = Field(description="Random halves behind the shares; 0 where no half chooses")
    neurons: list[NeuronCard]
    pairs: list[PairCard]
    heads: list[HeadCard]
