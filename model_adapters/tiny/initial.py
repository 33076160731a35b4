"""Initial weights: drawn from a seed, but for the encoder's first layer, its positions and where it first looks.

Three choices let an encoder without convolutions learn from few pictures. Patches are whitened; positions are sines and
cosines of both coordinates, in dimensions of their own and as strong as the patches; and each attention head starts by
looking at a neighbour in one direction, much as a convolution would.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from mpeval.engine.decoder import DecoderBlock
from mpeval.engine.model import VisionLanguageModel
from mpeval.engine.prompt import low_resolution_id
from mpeval.engine.vision import VisionBlock, VisionEncoder

POSITION_DIMS = 32
_FREQUENCIES = 2.6 * 26.0 ** (-torch.arange(8) / 7)
"""Radians a patch: the first tell neighbours apart, the last differs from edge to edge of the crop."""
_POSITION_GAIN = 3.0
_NEIGHBOUR_GAIN = 1.7
"""Makes a head's first attention fall mostly on one neighbour."""
_EMBEDDING_STD = 0.3
_FEATURE_GAIN = 8.0
"""Brings the connector's first features to the size of word embeddings."""


@torch.no_grad()
def initialise(model: VisionLanguageModel, patches: Tensor, seed: int) -> None:
    """Fill all weights in place. patches: normalised samples [n, 3 * patch_size ** 2] of training pictures."""
    generator = torch.Generator().manual_seed(seed)
    blocks: list[DecoderBlock] = []
    for module in model.modules():
        if isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.in_features)
            module.weight.uniform_(-bound, bound, generator=generator)
            if module.bias is not None:
                module.bias.zero_()
        elif isinstance(module, DecoderBlock):
            blocks.append(module)
    for block in blocks:  # they start as the identity
        block.self_attn.attn_out.weight.zero_()
        block.mlp.ff_out.weight.zero_()
    embedding, special = model.transformer.wte.embedding, model.transformer.wte.new_embedding
    embedding.normal_(std=_EMBEDDING_STD, generator=generator)
    special.normal_(std=_EMBEDDING_STD, generator=generator)
    # An image token is its feature: a row that all of them share would only drown it at first.
    for token in (model.config.tokens.image_patch, low_resolution_id(model.config)):
        special[token - len(embedding)] = 0
    model.connector.image_projector.w2.weight.mul_(_FEATURE_GAIN)
    if model.point_predictor is not None:
        model.point_predictor.add_no_point_class_embed.vector.normal_(std=0.5, generator=generator)
    _initialise_encoder(model.vit, model.config.vision.patch_grid, patches)


def _initialise_encoder(vit: VisionEncoder, grid: tuple[int, int], patches: Tensor) -> None:
    """Whitened patches first, positions in the last `POSITION_DIMS` dimensions, heads that look at neighbours."""
    content = vit.positional_embedding.shape[1] - POSITION_DIMS
    weight, bias = whitening(patches, content)
    for parameter in (vit.patch_embedding.weight, vit.patch_embedding.bias, vit.positional_embedding):
        parameter.zero_()
    vit.patch_embedding.weight[:content], vit.patch_embedding.bias[:content] = weight, bias
    vit.positional_embedding[:, content:] = _POSITION_GAIN * sine_positions(*grid)
    blocks = [module for module in vit.modules() if isinstance(module, VisionBlock)]
    for layer, block in enumerate(blocks):
        block.feed_forward.w2.weight.zero_()
        attention = block.attention
        assert attention.wo is not None
        attention.wo.weight.mul_(0.5)
        dim = attention.wq.out_features // attention.heads
        if dim < POSITION_DIMS:
            continue
        for projection in (attention.wq, attention.wk):
            projection.weight.mul_(0.3)
        for head in range(attention.heads):
            angle = 2 * math.pi * head / attention.heads + layer * math.pi / 3
            rows = slice(head * dim, head * dim + POSITION_DIMS)
            step = neighbour(math.cos(angle), math.sin(angle))
            attention.wq.weight[rows, content:] += _NEIGHBOUR_GAIN * step
            attention.wk.weight[rows, content:] += _NEIGHBOUR_GAIN * torch.eye(POSITION_DIMS)


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


def sine_positions(rows: int, columns: int) -> Tensor:
    """[rows * columns, POSITION_DIMS]: sine and cosine of each frequency, for the row, then for the column."""

    def table(n: int) -> Tensor:
        angles = torch.arange(n)[:, None] * _FREQUENCIES
        return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)

    row, column = table(rows)[:, None], table(columns)[None]
    half = (rows, columns, POSITION_DIMS // 2)
    return torch.cat((row.expand(half), column.expand(half)), dim=-1).flatten(0, 1)


def neighbour(down: float, right: float) -> Tensor:
    """[POSITION_DIMS, POSITION_DIMS]: maps a place's `sine_positions` to those of the place `down`, `right` of it."""
    step = torch.cat((_FREQUENCIES * down, _FREQUENCIES * right))
    turns = torch.stack((step.cos(), step.sin(), -step.sin(), step.cos()), dim=-1).view(-1, 2, 2)
    return torch.block_diag(*turns)
