"""Training scenes on disk: drawn and tiled once, then read by every run.

A scene's picture is kept as the encoder sees it: one crop, since the miniatures' pictures get a single tile, whose
low-resolution view equals it. Scenes alternate between shapes and screens; scene i is a function of i alone.
"""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from mpeval.benchmarks.scenes import Scene, generate
from mpeval.engine.tiling import Tiles, TilingSpec, tile_image


class StoredQuery(msgspec.Struct):
    prompt: str
    label: str
    counting: bool
    points: list[tuple[float, float]]
    """Pixels of the scene."""


class StoredScene(msgspec.Struct):
    size: tuple[int, int]
    """Width, height."""
    caption: str
    queries: list[StoredQuery]


@dataclass(frozen=True)
class SceneCache:
    pixels: np.ndarray
    """uint8 [scenes, patches, 3 * patch_size ** 2], mapped from disk."""
    scenes: list[StoredScene]
    tiles: Tiles
    """The layout that all scenes share; its own pixels are meaningless."""

    def __len__(self) -> int:
        return len(self.scenes)


def open_cache(folder: Path, count: int, spec: TilingSpec) -> SceneCache:
    """Open `count` scenes at `folder`, drawing them first where they are not there (a few milliseconds each)."""
    sample = b"".join(draw_scene(index).image.tobytes() for index in range(8))  # notices a changed generator
    about = {
        "count": count, "crop": spec.crop_size, "patch": spec.patch_size, "sample": hashlib.sha256(sample).hexdigest()
    }  # fmt: skip
    marker = folder / "about.json"
    if not marker.exists() or json.loads(marker.read_text()) != about:
        _draw(folder, count, spec)
        marker.write_text(json.dumps(about))
    with (folder / "scenes.jsonl").open("rb") as lines:
        scenes = [msgspec.json.decode(line, type=StoredScene) for line in lines]
    blank = np.zeros((spec.crop_size, spec.crop_size, 3), np.uint8)
    return SceneCache(np.load(folder / "pixels.npy", mmap_mode="r"), scenes, tile_image(blank, spec))


def draw_scene(index: int, split: str = "train") -> Scene:
    return generate(("shapes", "screen")[index % 2], index // 2, split)  # type: ignore[arg-type]


def store_scene(scene: Scene) -> StoredScene:
    height, width = scene.image.shape[:2]
    queries = [StoredQuery(q.prompt, q.label, q.kind == "count", q.points) for q in scene.queries]
    return StoredScene((width, height), scene.caption, queries)


def _draw(folder: Path, count: int, spec: TilingSpec) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "about.json").unlink(missing_ok=True)
    shape = (count, spec.patches**2, 3 * spec.patch_size**2)
    pixels = np.lib.format.open_memmap(folder / "pixels.npy", mode="w+", dtype=np.uint8, shape=shape)
    with (folder / "scenes.jsonl").open("wb") as lines, ProcessPoolExecutor() as pool:
        for index, (crop, line) in enumerate(pool.map(partial(_crop_and_line, spec), range(count), chunksize=64)):
            pixels[index] = crop
            lines.write(line)
    pixels.flush()


def _crop_and_line(spec: TilingSpec, index: int) -> tuple[np.ndarray, bytes]:
    scene = draw_scene(index)
    return tile_image(scene.image, spec).pixels[1], msgspec.json.encode(store_scene(scene)) + b"\n"
