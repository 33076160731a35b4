"""Initial weights: drawn from a seed, but for two tables that make small data go further.

The patch embedding starts as a whitening of real patches and the position table as sines and cosines of both
coordinates, of the same size: without a strong position the text variant cannot learn to write coordinates.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from mpeval.engine.model import VisionLanguageModel

_EMBEDDING_STD = 0.3


@torch.no_grad()
def initialise(model: VisionLanguageModel, patches: Tensor, seed: int) -> None:
    """Fill all weights in place. patches: normalised samples [n, 3 * patch_size ** 2] of training pictures."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.in_features)
            module.weight.uniform_(-bound, bound, generator=generator)
            if module.bias is not None:
                module.bias.zero_()
    for block in model.vit.transformer.resblocks:  # blocks start as the identity
        block.attention.wo.weight.zero_()
        block.feed_forward.w2.weight.zero_()
    for block in model.transformer.blocks:
        block.self_attn.attn_out.weight.zero_()
        block.mlp.ff_out.weight.zero_()
    model.transformer.wte.embedding.normal_(std=_EMBEDDING_STD, generator=generator)
    model.transformer.wte.new_embedding.normal_(std=_EMBEDDING_STD, generator=generator)
    if model.point_predictor is not None:
        model.point_predictor.add_no_point_class_embed.vector.normal_(std=0.5, generator=generator)
    vision = model.config.vision
    weight, bias = whitening(patches, vision.width)
    model.vit.patch_embedding.weight.copy_(weight)
    model.vit.patch_embedding.bias.copy_(bias)
    model.vit.positional_embedding.copy_(sine_positions(*vision.patch_grid, vision.width))


def whitening(patches: Tensor, width: int, damping: float = 1e-3) -> tuple[Tensor, Tensor]:
    """Weight [width, inputs] and bias that map patches [n, inputs] to their leading principal components, each of
    about unit variance (components much weaker than `damping` times the first stay small)."""
    samples = patches.double().numpy()
    mean = samples.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(samples - mean, rowvar=False))
    values, vectors = values[::-1][:width], vectors[:, ::-1][:, :width]
    vectors = vectors * np.sign(vectors.sum(axis=0) + 1e-12)  # eigenvectors have no sign of their own
    weight = (vectors / np.sqrt(values + damping * values[0])).T
    return torch.from_numpy(weight).float(), torch.from_numpy(-weight @ mean).float()


def sine_positions(rows: int, columns: int, width: int) -> Tensor:
    """[rows * columns, width]: sines and cosines of the row in the first half, of the column in the second."""
    quarter = width // 4
    frequencies = 40.0 ** (-torch.arange(quarter) / quarter)

    def table(n: int) -> Tensor:
        angles = torch.arange(n)[:, None] * frequencies
        return torch.cat((angles.sin(), angles.cos()), dim=1)

    row, column = table(rows)[:, None], table(columns)[None]
    return torch.cat(
        (row.expand(rows, columns, -1), column.expand(rows, columns, -1)), dim=-1
    ).flatten(0, 1)
