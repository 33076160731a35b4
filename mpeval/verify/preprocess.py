"""Tiling and token layout against the released processors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mpeval.engine.tiling import Tiles, TilingSpec, normalize, tile_image, tile_images, tile_video
from mpeval.verify.check import Check
from mpeval.verify.compare import PIXELS, close, equal, load_arrays, load_json


def verify_preprocess(folder: Path) -> list[Check]:
    """Check `cases.json` with its `case_i.npz`: the released tiling (378 px) at full size."""
    checks: list[Check] = []
    for case in load_json(folder / "cases.json"):
        name = f"case_{case['case']}.npz"
        theirs = load_arrays(folder / name)
        checks += _verify_case(name, case, theirs)
    return checks


def _verify_case(name: str, case: Mapping[str, Any], theirs: Mapping[str, np.ndarray]) -> Iterator[Check]:
    tiles, note = _tile_like(_pattern(case), case["max_crops"], tuple(theirs["image_grids"][0]))
    pixels = _normalized(tiles, TilingSpec())
    yield replace(equal(name, "grid", [tiles.grid], theirs["image_grids"]), note=note)
    yield equal(name, "crops", [len(pixels)], theirs["image_num_crops"])
    yield equal(name, "pooling", tiles.token_pooling, theirs["token_pooling"])
    yield equal(name, "mapping", tiles.mapping, theirs["subpatch_mapping"])
    yield equal(name, "shape", pixels.shape, theirs["shape"])
    sampled = pixels[
        np.minimum(theirs["sample_crop"], len(pixels) - 1), np.minimum(theirs["sample_patch"], pixels.shape[1] - 1)
    ]
    yield close(name, "pixels", sampled, theirs["sample_pixels"], PIXELS)
    yield close(name, "pixel mean", pixels.mean((1, 2)), theirs["mean_per_crop"], PIXELS)
    yield close(name, "pixel deviation", pixels.std((1, 2)), theirs["std_per_crop"], PIXELS)


def verify_inputs(golden: Mapping[str, np.ndarray], spec: TilingSpec, where: str) -> Iterator[Check]:
    """Check a model folder's own tiles: pixels, grids, pooling and mapping of `golden.npz`."""
    if "frames" in golden:
        tiles = [tile_video(golden["frames"], spec)]
        expected, grids = golden["pixel_values_videos"], golden["video_grids"]
    else:
        tiles = tile_images(pictures(golden), spec)
        expected, grids = golden["pixel_values"], golden["image_grids"]
        yield equal(where, "crops", [len(each.pixels) for each in tiles], golden["image_num_crops"])
    pixels = np.concatenate([_normalized(each, spec) for each in tiles])
    yield close(where, "pixels", pixels, expected, PIXELS)
    yield equal(where, "grid", [each.grid for each in tiles], grids)
    yield equal(where, "pooling", np.concatenate([each.token_pooling for each in tiles]), golden["token_pooling"])
    for each, mapping in zip(tiles, mappings(golden), strict=True):
        yield equal(where, "mapping", each.mapping, mapping)


def pictures(golden: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The pictures of an `image_*` folder, in order: `image`, or `image_0`, `image_1`, and so on."""
    if "image" in golden:
        return [golden["image"]]
    return [golden[name] for name in _numbered(golden, "image_")]


def mappings(golden: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The patch at each cell, one array a picture, or one for a video."""
    if "subpatch_mapping" in golden:
        return [golden["subpatch_mapping"]]
    return [golden[name] for name in _numbered(golden, "subpatch_mapping_")]


def _numbered(golden: Mapping[str, np.ndarray], prefix: str) -> list[str]:
    names = [f"{prefix}{index}" for index in range(len(golden))]
    present = [name for name in names if name in golden]
    if not present:
        raise KeyError(f"{prefix}0")
    return present


def _pattern(case: Mapping[str, Any]) -> np.ndarray:
    """The picture that a case describes: ramps whose slope differs from channel to channel."""
    y, x, channel = np.ogrid[: case["height"], : case["width"], :3]
    return (((x * (channel + 3) + y * (5 - channel) + 17 * case["seed"]) // 2) % 256).astype(np.uint8)


def _tile_like(image: np.ndarray, max_crops: int, grid: tuple[int, ...]) -> tuple[Tiles, str]:
    """Tile as the Hub port does, or as the native program where the case was made with that one."""
    tiles = tile_image(image, TilingSpec(semantics="hf"), max_crops)
    if tiles.grid == grid:
        return tiles, ""
    native = tile_image(image, TilingSpec(semantics="native"), max_crops)
    return (native, "native's tiling of narrow pictures") if native.grid == grid else (tiles, "")


def _normalized(tiles: Tiles, spec: TilingSpec) -> np.ndarray:
    import torch

    return normalize(torch.from_numpy(tiles.pixels), spec).numpy()
