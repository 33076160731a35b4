"""Training batches: several queries on a scene and its caption in one sequence, as a message tree.

The media prefix is shared; each branch (a question with its answer) sees the prefix and itself, and its positions
restart after the prefix, so that each branch is computed exactly as if it stood alone (Molmo2's message trees).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from mpeval.engine.batch import MediaInputs
from mpeval.engine.config import ModelConfig
from mpeval.engine.model import MediaFeatures, VisionLanguageModel
from mpeval.engine.prompt import QUESTION, image_token_ids, low_resolution_id
from mpeval.engine.tiling import TilingSpec, normalize
from mpeval.grounding.loss import TrainingInputs

from .scene_cache import SceneCache, StoredScene
from .targets import Answer, Encode, Format, PointLocator, answer
from .tokenizer import END_OF_TEXT, END_OF_TURN, build_tokenizer

CAPTION_PROMPT = "describe the picture"
CAPTION_WEIGHT = 0.3
"""A caption has three times the tokens of an answer; it teaches perception but is not what is measured."""
DECISION_WEIGHT = 4.0
"""Of an answer's first token, where it is decided whether there is anything at all: else one token among a dozen."""
IGNORED = -100


@dataclass(frozen=True)
class TrainBatch:
    pixels: Tensor
    """[batch, patches, 3 * patch_size ** 2], normalised: one crop a scene."""
    inputs: TrainingInputs
    labels: Tensor
    """[batch, n]: the next id where it belongs to an answer, else IGNORED."""
    weights: Tensor
    """[batch, n]: of each label in the token loss."""


@dataclass(frozen=True)
class Branch:
    question: list[int]
    answer: Answer
    weight: float = 1.0
    first_weight: float = DECISION_WEIGHT

    def __len__(self) -> int:
        return len(self.question) + len(self.answer.ids)


class BatchMaker:
    """Scenes in, batches out, in one of the two formats."""

    def __init__(self, cache: SceneCache, config: ModelConfig, spec: TilingSpec, written: Format) -> None:
        tokenizer = build_tokenizer()
        self.cache, self.config, self.spec, self.written = cache, config, spec, written
        self.encode: Encode = lambda text: tokenizer.encode(text, add_special_tokens=False).ids
        (start,), (self.end,) = self.encode(END_OF_TEXT), self.encode(END_OF_TURN)
        grid = cache.tiles.grid
        media = image_token_ids(grid, config.tokens, low_resolution_id(config))
        self.prefix = [start, *media]
        self.locator = PointLocator(cache.tiles)
        first_patch = spec.patches**2
        self.pooling = torch.from_numpy(cache.tiles.token_pooling % first_patch)

    def branch(self, prompt: str, reply: Answer) -> Branch:
        return Branch(self.encode(QUESTION.format(text=prompt)), reply + Answer([self.end], [-1]))

    def query_branches(self, scene: StoredScene, order: Iterable[int], budget: int) -> list[Branch]:
        """Queries in `order` while their text-coordinate form fits `budget` tokens: both formats get the same ones."""
        branches = []
        for index in order:
            query = scene.queries[index]
            forms = {
                written: answer(
                    query.points, query.label, query.counting, scene.size, written,
                    self.locator, self.encode, self.config.tokens,
                )
                for written in dict.fromkeys(("text", self.written))
            }  # fmt: skip
            budget -= len(self.branch(query.prompt, forms["text"]))
            if budget < 0:
                break
            branches.append(self.branch(query.prompt, forms[self.written]))
        return branches

    def caption_branch(self, scene: StoredScene) -> Branch:
        ids = self.encode(scene.caption)
        branch = self.branch(CAPTION_PROMPT, Answer(ids, [-1] * len(ids)))
        return replace(branch, weight=CAPTION_WEIGHT, first_weight=CAPTION_WEIGHT)

    def batch(self, indices: Sequence[int] | np.ndarray, rng: np.random.Generator, budget: int) -> TrainBatch:
        """One sequence a scene: its caption, and queries in random order within `budget` text tokens in all."""
        trees = []
        for index in indices:
            scene = self.cache.scenes[index]
            caption = self.caption_branch(scene)
            order = rng.permutation(len(scene.queries))
            trees.append([*self.query_branches(scene, order, budget - len(caption)), caption])
        pixels = torch.from_numpy(self.cache.pixels[np.asarray(indices)])
        return self.collate(pixels, trees)

    def collate(self, pixels: Tensor, trees: Sequence[Sequence[Branch]]) -> TrainBatch:
        """Pad on the right; pixels uint8 [batch, patches, 3 * patch_size ** 2]."""
        start = len(self.prefix)
        length = start + max(sum(map(len, tree)) for tree in trees)
        shape = len(trees), length
        ids, points = np.zeros(shape, np.int64), np.full(shape, -1)
        positions, branch_of = np.zeros(shape, np.int64), np.full(shape, -1)
        labels, weights = np.full(shape, IGNORED), np.zeros(shape, np.float32)
        ids[:, :start], positions[:, :start], branch_of[:, :start] = self.prefix, np.arange(start), 0
        for row, tree in enumerate(trees):
            at = start
            for number, branch in enumerate(tree, start=1):
                whole = slice(at, at + len(branch))
                reply = slice(at + len(branch.question), whole.stop)
                ids[row, whole] = branch.question + branch.answer.ids
                points[row, reply] = branch.answer.points
                positions[row, whole] = start + np.arange(len(branch))
                branch_of[row, whole] = number
                labels[row, reply.start - 1 : reply.stop - 1] = branch.answer.ids
                weights[row, reply.start - 1 : reply.stop - 1] = branch.weight
                weights[row, reply.start - 1] = branch.first_weight
                at = whole.stop
        media = np.isin(ids, self.config.tokens.media)
        inputs = TrainingInputs(
            ids=torch.from_numpy(ids),
            positions=torch.from_numpy(positions),
            mask=tree_mask(torch.from_numpy(branch_of), torch.from_numpy(media)),
            media=self._media(pixels),
            points=torch.from_numpy(points),
        )
        return TrainBatch(
            normalize(pixels, self.spec), inputs, torch.from_numpy(labels), torch.from_numpy(weights)
        )

    def _media(self, pixels: Tensor) -> MediaInputs:
        """Both views of a scene pool the patches of its one crop."""
        batch, patches = pixels.shape[:2]
        pooling = (torch.arange(batch)[:, None, None] * patches + self.pooling).flatten(0, 1)
        counts = torch.full((batch,), len(self.pooling))
        width = self.pooling.shape[-1]
        return MediaInputs(pixels.new_zeros(0), pooling, counts, torch.full((batch,), width))


def tree_mask(branch_of: Tensor, media: Tensor) -> Tensor:
    """[batch, 1, n, n] bool, True where seen.

    branch_of [batch, n]: 0 for the shared prefix, the branch's number, -1 for padding (which sees and is seen by
    padding alone); media [batch, n] bool: tokens that attend to each other in both directions.
    """
    n = branch_of.shape[1]
    causal = torch.ones(n, n, dtype=torch.bool).tril()
    same = branch_of[:, :, None] == branch_of[:, None, :]
    shared = (branch_of == 0)[:, None, :] & (branch_of >= 0)[:, :, None]
    both_ways = media[:, :, None] & media[:, None, :]
    return ((causal & (same | shared)) | both_ways)[:, None]


def encode_once(model: VisionLanguageModel, batch: TrainBatch) -> MediaFeatures:
    """Features of both views from one pass: with a single tile the two crops hold the same pixels."""
    patches = model.vit(batch.pixels).flatten(0, 1)
    inputs = batch.inputs.media
    scenes, tokens = len(inputs.token_counts), int(inputs.token_counts[0])
    pooling = inputs.pooling.view(scenes, tokens, -1)[:, tokens // 2 :].flatten(0, 1)
    pooled = model.connector(patches[pooling], torch.ones_like(pooling, dtype=torch.bool))
    both = pooled.view(scenes, tokens // 2, -1).repeat(1, 2, 1).flatten(0, 1)
    return MediaFeatures(patches, both, inputs)
