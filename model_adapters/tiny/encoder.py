"""The encoder's own training, before either miniature: labels against patches, by a sigmoid loss.

The released models start from SigLIP 2, which has learnt to pair pictures with texts; the miniatures start from an
encoder that has learnt to pair a label (`small red circles`) with the patches it names. It is trained once; both
formats and all seeds start from the same file.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mpeval.benchmarks.scenes import VOCABULARY
from mpeval.engine.tiling import TilingSpec, normalize
from mpeval.engine.vision import VisionEncoder

from .muon import Muon
from .scene_cache import SceneCache, StoredScene

STEPS, BATCH, WARMUP, LOG_EVERY = 900, 32, 50, 25
MUON_RATE, ADAM_RATE = 4e-3, 2e-3
WIDTH = 96
_WORDS = {word: index for index, word in enumerate(VOCABULARY)}


class TextTower(nn.Module):
    """A label as the sum of its words, then a small MLP: the other half of the pairing, thrown away afterwards."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.words = nn.EmbeddingBag(len(VOCABULARY), WIDTH, mode="sum")
        self.hidden, self.out = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)
        self.patches = nn.Linear(features, WIDTH)
        self.bias = nn.Parameter(torch.tensor(-2.0))
        nn.init.normal_(self.words.weight, std=0.5)

    def forward(self, pairs: PairBatch, features: Tensor) -> Tensor:
        """Logits [labels, patches] for features [pictures, patches, feature_width]."""
        text = self.words(pairs.words, pairs.starts)
        text = text + self.out(F.gelu(self.hidden(text)))
        return torch.einsum("ld,lpd->lp", text, self.patches(features)[pairs.picture]) / 5 + self.bias


@dataclass(frozen=True)
class PairBatch:
    """Labels of some pictures, with the patches they name."""

    words: Tensor
    """Word indices of all labels, one label after the other."""
    starts: Tensor
    """[labels]: where each label's words start."""
    picture: Tensor
    """[labels]: the picture it belongs to."""
    named: Tensor
    """[labels, patches]: 1 at the middle of each thing named."""
    weights: Tensor
    """[labels, patches]: a label's named patches together weigh 1, so do the other things' middles, and so does the
    ground; the patches around a middle weigh nothing."""


def pair(scenes: Sequence[StoredScene], side: int) -> PairBatch:
    """Labels that stand for themselves; `shapes left of the red star` is a relation and left out."""
    words: list[int] = []
    starts, picture, named, weights = [], [], [], []
    for index, scene in enumerate(scenes):
        things = {_cell(point, scene.size, side) for query in scene.queries for point in query.points}
        ground = np.full((side, side), 1 / side**2, np.float32)
        for row, column in things:
            ground[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2] = 0
        for query in scene.queries:
            if " the " in query.label:
                continue
            own = {_cell(point, scene.size, side) for point in query.points}
            target, weight = np.zeros((side, side), np.float32), ground.copy()
            for cell in things:
                target[cell] = cell in own
                weight[cell] = 1 / (len(own) if cell in own else len(things - own))
            starts.append(len(words))
            words += [_WORDS[word] for word in query.label.split()]
            picture.append(index)
            named.append(target.ravel())
            weights.append(weight.ravel())
    return PairBatch(
        torch.tensor(words),
        torch.tensor(starts),
        torch.tensor(picture),
        torch.from_numpy(np.stack(named)),
        torch.from_numpy(np.stack(weights)),
    )


def train_encoder(vit: VisionEncoder, cache: SceneCache, spec: TilingSpec, log: Path) -> None:
    """Train in place. The log's columns: the loss, how often a named patch is found, how often another thing is not."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    tower = TextTower(len(vit.outputs) * vit.positional_embedding.shape[1])
    matrices: list[nn.Parameter] = []
    tables: list[nn.Parameter] = []
    for name, parameter in (*vit.named_parameters(), *tower.named_parameters()):
        table = parameter.ndim != 2 or name in ("patch_embedding.weight", "positional_embedding", "words.weight")
        (tables if table else matrices).append(parameter)
    muon = Muon(matrices, lr=MUON_RATE, weight_decay=0.01)
    adam = torch.optim.AdamW(tables, lr=ADAM_RATE, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    begun, recent, rows = time.monotonic(), [], []
    for step in range(STEPS):
        chosen = rng.integers(len(cache), size=BATCH)
        pixels = normalize(torch.from_numpy(cache.pixels[chosen]), spec)
        pairs = pair([cache.scenes[index] for index in chosen], spec.patches)
        logits = tower(pairs, vit(pixels))
        loss = (F.binary_cross_entropy_with_logits(logits, pairs.named, reduction="none") * pairs.weights).sum()
        loss = loss / len(pairs.named)
        loss.backward()
        factor = min((step + 1) / WARMUP, 1.0, 2 * (STEPS - step) / STEPS)
        for optimizer, rate in ((muon, MUON_RATE), (adam, ADAM_RATE)):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
            optimizer.step()
            optimizer.zero_grad()
        recent.append([loss.item(), *_right(logits.detach(), pairs)])
        if (step + 1) % LOG_EVERY == 0 or step + 1 == STEPS:
            mean_loss, found, rejected = (round(float(value), 4) for value in np.mean(recent, axis=0))
            row = {"step": step + 1, "loss": mean_loss, "found": found, "others_rejected": rejected}
            rows.append({**row, "seconds": round(time.monotonic() - begun, 1)})
            log.write_text("".join(json.dumps(row) + "\n" for row in rows))
            click.echo(json.dumps(rows[-1]))
            recent = []


def _right(logits: Tensor, pairs: PairBatch) -> tuple[float, float]:
    """Share of named patches above zero, and of other things' middles below."""
    things = pairs.weights > 2 / pairs.named.shape[1]
    named, other = things & (pairs.named > 0), things & (pairs.named == 0)
    return (logits[named] > 0).float().mean().item(), (logits[other] < 0).float().mean().item()


def _cell(point: tuple[float, float], size: tuple[int, int], side: int) -> tuple[int, int]:
    """Row, column of the patch that holds a pixel."""
    return min(side - 1, int(point[1] / size[1] * side)), min(side - 1, int(point[0] / size[0] * side))
