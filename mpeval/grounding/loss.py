"""The training forward and loss of paper section 3: three cross entropies beside the language model's own."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from mpeval.engine.batch import MediaInputs
from mpeval.engine.model import NO_MORE_POINTS, MediaFeatures, VisionLanguageModel
from mpeval.grounding.heads import NOT_POINTABLE


@dataclass(frozen=True)
class TrainingInputs:
    """A batch of teacher-forced sequences."""

    ids: Tensor
    """[batch, n]; padding may hold any id that is masked out."""
    positions: Tensor
    """[batch, n]: rotary positions (message trees restart them after the shared media)."""
    mask: Tensor
    """[batch, 1, n, n] bool, True where seen. Every row must see something."""
    media: MediaInputs
    points: Tensor
    """[batch, n]: image token at a PATCH (or NO_MORE_POINTS), patch within it at a SUBPATCH, ninth at a LOCATION.

    -1 elsewhere.
    """


@dataclass(frozen=True)
class PointingLogits:
    """Scores for the pointing tokens of a batch, in sequence order, with what they should be."""

    patch: Tensor
    patch_labels: Tensor
    subpatch: Tensor
    subpatch_labels: Tensor
    location: Tensor
    location_labels: Tensor

    def losses(self) -> tuple[Tensor, Tensor, Tensor]:
        """Cross entropies (patch, sub-patch, location), each a sum.

        Section 3.1 adds them to the token loss before it is averaged over tokens.
        """

        def loss(logits: Tensor, labels: Tensor) -> Tensor:
            return F.cross_entropy(logits.float(), labels, reduction="sum")

        return (
            loss(self.patch, self.patch_labels),
            loss(self.subpatch, self.subpatch_labels),
            loss(self.location, self.location_labels),
        )


def training_forward(
    model: VisionLanguageModel, inputs: TrainingInputs, media: MediaFeatures | None = None
) -> tuple[Tensor, PointingLogits | None]:
    """Hidden states [batch, n, width] before the final norm, and the pointing scores (None for a text model).

    `media`: features computed already, where a caller shares them between crops.
    """
    media = media or model.encode(inputs.media)
    x = model.embed(inputs.ids, media)
    if model.point_predictor is None:
        return model.transformer(x, inputs.positions, inputs.mask), None
    x = _embed_points(model, inputs, x, media)
    hidden = model.transformer(x, inputs.positions, inputs.mask)
    return hidden, _pointing_logits(model, inputs, hidden, media)


def _embed_points(model: VisionLanguageModel, inputs: TrainingInputs, x: Tensor, media: MediaFeatures) -> Tensor:
    """Add the selected image token's feature at each PATCH and the selected ViT feature at each SUBPATCH."""
    tokens = model.config.tokens
    starts = media.inputs.token_counts.cumsum(0) - media.inputs.token_counts
    rows, columns = ((inputs.ids == tokens.patch) & (inputs.points != NO_MORE_POINTS)).nonzero(as_tuple=True)
    chosen = starts[rows] + inputs.points[rows, columns]
    x = x.index_put((rows, columns), media.tokens[chosen].to(x.dtype), accumulate=True)
    rows, columns = (inputs.ids == tokens.subpatch).nonzero(as_tuple=True)
    chosen = starts[rows] + inputs.points[rows, columns - 1]
    feature = media.patches[media.inputs.pooling[chosen, inputs.points[rows, columns]]]
    embedded = model.embed_subpatch(x[rows, columns], feature)
    return x.index_put((rows, columns), embedded.to(x.dtype))


def _pointing_logits(
    model: VisionLanguageModel, inputs: TrainingInputs, hidden: Tensor, media: MediaFeatures
) -> PointingLogits:
    """Each pointing token is predicted from the state before it."""
    heads, tokens = model.point_predictor, model.config.tokens
    assert heads is not None
    keys = model.pointer_keys(inputs.ids, hidden, media)

    rows, columns = (inputs.ids == tokens.patch).nonzero(as_tuple=True)
    labels = inputs.points[rows, columns]
    # The image token selected before, in the same list of points: each list ends with no-more-points, so the
    # first point of a list has none.
    previous = F.pad(labels[:-1], (1, 0), value=-1)
    first = F.pad(rows[1:] != rows[:-1], (1, 0), value=True)
    previous = previous.masked_fill(first | (previous == NO_MORE_POINTS), -1)
    patch = heads.patch_logits(hidden[rows, columns - 1], rows, keys, previous)
    earlier = torch.arange(patch.shape[1], device=patch.device)[None] < previous[:, None]
    patch = patch.masked_fill(earlier, NOT_POINTABLE)
    patch_labels = labels.masked_fill(labels == NO_MORE_POINTS, keys.no_more_points)

    rows, columns = (inputs.ids == tokens.subpatch).nonzero(as_tuple=True)
    subpatch, _ = heads.subpatch_logits(hidden[rows, columns - 1], rows, keys, inputs.points[rows, columns - 1])
    subpatch_labels = inputs.points[rows, columns]

    rows, columns = (inputs.ids == tokens.location).nonzero(as_tuple=True)
    # Training reads the normed state here, unlike inference: both as released.
    location = heads.location_logits(heads.x_norm(hidden[rows, columns - 1]))
    return PointingLogits(patch, patch_labels, subpatch, subpatch_labels, location, inputs.points[rows, columns])
