"""Train a miniature: `python -m mpeval.model_adapters.tiny.train --format grounding --seed 1 --out DIR`.

Both formats see the same scenes and queries in the same order for the same number of steps. A run that is started
again with the same arguments goes on from its last save and ends with the same weights.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mpeval.engine.checkpoint import save_weights
from mpeval.engine.config import ModelConfig
from mpeval.engine.model import VisionLanguageModel
from mpeval.engine.tiling import TilingSpec, normalize
from mpeval.errors import UserError
from mpeval.grounding.loss import training_forward

from .config import model_config, preprocessor_config
from .data import BatchMaker, TrainBatch, encode_once
from .encoder import train_encoder
from .evaluate import evaluate
from .initial import initialise
from .optimizer import Optimizer
from .scene_cache import SceneCache, open_cache
from .targets import Format
from .tokenizer import build_tokenizer


@dataclass(frozen=True)
class Settings:
    """Everything that decides a run's weights."""

    written: Format
    seed: int
    steps: int
    batch: int = 16
    budget: int = 160
    """Tokens of text in one sequence (its caption and as many queries as fit), counted in text coordinates."""
    scenes: int = 32_000


DATA = Path.home() / ".cache" / "mpeval" / "tiny-scenes"
ENCODER_FILE = "encoder.safetensors"
LOG_EVERY, SAVE_EVERY, EVALUATE_EVERY = 20, 100, 450
EVALUATED_SCENES = 40


@dataclass(frozen=True)
class Losses:
    """Sums over a batch, and the weight that they are divided by."""

    token: Tensor
    patch: Tensor
    subpatch: Tensor
    location: Tensor
    weight: Tensor
    points: int

    @property
    def mean(self) -> Tensor:
        """Pointing losses join the token loss before it is averaged over tokens (paper, section 3.1)."""
        return (self.token + self.patch + self.subpatch + self.location) / self.weight

    def row(self) -> dict[str, float]:
        """A token's loss, and a point's three."""
        points = max(self.points, 1)
        row = {"token": self.token / self.weight, "patch": self.patch / points}
        row |= {"subpatch": self.subpatch / points, "location": self.location / points}
        return {name: float(value.detach()) for name, value in row.items()}


def losses(model: VisionLanguageModel, batch: TrainBatch) -> Losses:
    hidden, pointing = training_forward(model, batch.inputs, encode_once(model, batch))
    answered = batch.labels >= 0
    weights = batch.weights[answered]
    logits = model.logits(hidden[answered])
    token = (F.cross_entropy(logits, batch.labels[answered], reduction="none") * weights).sum()
    if pointing is None:
        none = torch.zeros(())
        return Losses(token, none, none, none, weights.sum(), 0)
    return Losses(token, *pointing.losses(), weights.sum(), len(pointing.location_labels))


def build_model(settings: Settings, cache: SceneCache, spec: TilingSpec) -> VisionLanguageModel:
    model = VisionLanguageModel(ModelConfig.from_json(model_config(settings.written)))
    patches = torch.from_numpy(np.array(cache.pixels[:400:4])).flatten(0, 1)
    initialise(model, normalize(patches, spec), settings.seed)
    return model


def open_encoder(model: VisionLanguageModel, cache: SceneCache, spec: TilingSpec, folder: Path) -> None:
    """Load the trained encoder from `folder` into the model, training it first where it is not there."""
    from safetensors.torch import load_file, save_file

    file = folder / ENCODER_FILE
    if not file.exists():
        first = build_model(Settings("grounding", 0, 0), cache, spec).vit
        train_encoder(first, cache, spec, folder / "encoder.jsonl")
        save_file(first.state_dict(), file)
    model.vit.load_state_dict(load_file(file))


def scene_order(settings: Settings, step: int) -> tuple[np.ndarray, np.random.Generator]:
    """The scenes of a step, and the stream that draws their queries: the same for both formats."""
    epoch, place = divmod(step, settings.scenes // settings.batch)
    order = np.random.default_rng((settings.seed, epoch, 0)).permutation(settings.scenes)
    queries = np.random.default_rng((settings.seed, step, 1))
    return order[place * settings.batch : (place + 1) * settings.batch], queries


def train(settings: Settings, out: Path, data: Path) -> None:
    """Train to the end, from the last save in `out` if there is one; `out` then holds a checkpoint and its log."""
    spec = TilingSpec.from_config(preprocessor_config())
    cache = open_cache(data, settings.scenes, spec)
    model = build_model(settings, cache, spec)
    open_encoder(model, cache, spec, data)
    batches = BatchMaker(cache, model.config, spec, settings.written)
    optimizer = Optimizer(model, settings.steps)
    out.mkdir(parents=True, exist_ok=True)
    run = Run(out, settings)
    start = run.resume(model, optimizer)
    recent: list[dict[str, float]] = []
    for step in range(start, settings.steps):
        result = losses(model, batches.batch(*scene_order(settings, step), settings.budget))
        result.mean.backward()
        optimizer.step(step)
        recent.append(result.row())
        if (step + 1) % LOG_EVERY == 0:
            means = {name: float(np.mean([row[name] for row in recent])) for name in recent[0]}
            run.log({"step": step + 1, **{name: round(value, 5) for name, value in means.items()}})
            recent = []
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == settings.steps:
            run.save(model, optimizer, step + 1)
        if (step + 1) % EVALUATE_EVERY == 0 or step + 1 == settings.steps:
            export(model, out, settings.written)
            run.log({"step": step + 1, "heldout": evaluate(out, EVALUATED_SCENES)})


class Run:
    """A run's folder: log.jsonl, its first row the settings, and the save that it resumes from."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.file, self.saved = folder / "log.jsonl", folder / "resume.safetensors"
        self.started, self.before = time.monotonic(), 0.0
        self.rows = [json.loads(line) for line in self.file.read_text().splitlines()] if self.file.exists() else []
        about = {"settings": asdict(settings), "torch": torch.__version__}
        if self.rows and self.rows[0]["settings"] != about["settings"]:
            raise UserError(f"{folder} holds a run with other settings: give another --out")
        self.rows = self.rows or [about]

    def resume(self, model: VisionLanguageModel, optimizer: Optimizer) -> int:
        """Load the last save; returns the step to go on from. Rows logged after it are dropped."""
        step = 0
        if self.saved.exists():
            from safetensors.torch import load_file

            saved = load_file(self.saved)
            step = int(saved.pop("step"))
            model.load_state_dict({k: saved.pop(k) for k in model.state_dict()})
            optimizer.load_state(saved)
        self.rows = [row for row in self.rows if row.get("step", 0) <= step]
        self.before = max((row.get("seconds", 0.0) for row in self.rows), default=0.0)
        self._write()
        return step

    def save(self, model: VisionLanguageModel, optimizer: Optimizer, step: int) -> None:
        from safetensors.torch import save_file

        fresh = self.saved.with_suffix(".new")
        save_file({**model.state_dict(), **optimizer.state(), "step": torch.tensor(step)}, fresh)
        fresh.replace(self.saved)

    def log(self, row: dict[str, Any]) -> None:
        self.rows.append({**row, "seconds": round(self.before + time.monotonic() - self.started, 1)})
        self._write()
        click.echo(json.dumps(self.rows[-1]))

    def _write(self) -> None:
        self.file.write_text("".join(json.dumps(row) + "\n" for row in self.rows))


def export(model: VisionLanguageModel, folder: Path, written: Format) -> None:
    """Write a checkpoint in the released layout."""
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(model, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(model_config(written), indent=1) + "\n")
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor_config(), indent=1) + "\n")
    build_tokenizer().save(str(folder / "tokenizer.json"))


@click.command()
@click.option("--format", "written", type=click.Choice(["grounding", "text"]), required=True)
@click.option("--seed", type=click.IntRange(min=0), required=True)
@click.option("--steps", type=click.IntRange(min=1), default=4200, show_default=True)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=DATA,
    show_default=True,
    help="Where the training scenes (2 GB) and the trained encoder are kept once made.",
)
def main(written: Format, seed: int, steps: int, out: Path, data: Path) -> None:
    """Train molmopoint-tiny (--format grounding) or molmo2-tiny (--format text) on one CPU thread."""
    torch.set_num_threads(1)
    try:
        train(Settings(written, seed, steps), out, data)
    except UserError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
