"""Media made ready for the engine: decoded, tiled and joined once, for all questions on them."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from mpeval.errors import SampleError
from mpeval.once import Once
from mpeval.types import Elicitation

from .molmo_files import VIDEO

if TYPE_CHECKING:
    import numpy as np
    import torch

    from mpeval.engine.config import ModelConfig
    from mpeval.engine.tiling import Tiles, TilingSpec
    from mpeval.media import Media
    from mpeval.video.sampling import Sampled

KEEP_BYTES = 256 << 20
"""Media used last stay ready up to this many bytes, also where no question on them is at hand."""


@dataclass(frozen=True, eq=False)
class ShownMedia:
    """What the model is shown of some media."""

    name: str
    """The same name, the same tiles."""
    kind: Literal["image", "images", "video"]
    tiles: list[Tiles]
    """One a picture, or one of the video. Their pixels are views into `pixels`."""
    pixels: torch.Tensor
    """uint8 [crops, patches, 3 * patch_size ** 2] of all pictures; pinned where a GPU will read it."""
    pooling: np.ndarray
    """int64 [image tokens, S]: patches of all pictures behind each image token."""
    ids: list[int]
    """The prompt's tokens for the media."""
    spec: TilingSpec
    """How they were tiled."""
    times: tuple[float, ...] = ()
    """Of a video's frames, in seconds."""
    _copy: list[weakref.ref[torch.Tensor]] = field(default_factory=list)

    @property
    def nbytes(self) -> int:
        tables = sum(tiles.mapping.nbytes for tiles in self.tiles)
        return self.pixels.nbytes + self.pooling.nbytes + tables + 8 * len(self.ids)

    def pixels_on(self, device: torch.device) -> torch.Tensor:
        """`pixels` there: one copy for all questions at work, gone with the last of them.

        From pinned memory the copy is queued without waiting; on a CPU there is none. For one thread.
        """
        if self.pixels.device == device:
            return self.pixels
        copy = self._copy[0]() if self._copy else None
        if copy is None or copy.device != device:
            copy = self.pixels.to(device, non_blocking=True)
            self._copy[:] = [weakref.ref(copy)]
        return copy


class MediaPreparer:
    """Media in, `ShownMedia` out, on many threads."""

    def __init__(
        self,
        model: str,
        config: ModelConfig,
        image_spec: TilingSpec,
        video_spec: TilingSpec | None,
        max_frames: int | None,
        encode: Callable[[str], list[int]],
        pin: bool,
    ) -> None:
        """model: its name, for messages. max_frames: of a video where a query does not say. pin: for a GPU."""
        self.model, self.config, self.encode, self.pin = model, config, encode, pin
        self.image_spec, self.video_spec, self.max_frames = image_spec, video_spec, max_frames
        self._once: Once[ShownMedia] = Once(KEEP_BYTES)

    def shown(self, media: Media, asked: Elicitation) -> ShownMedia:
        """Decode and tile, where that was not done before. Raises `SampleError`."""
        name = self._name(media, asked)
        return self._once.get(name, lambda: self._prepare(name, media, asked))

    def footprint(self, media: Media, asked: Elicitation) -> tuple[str, int, int]:
        """The media's name, bytes that they take once prepared and tokens in the prompt, the latter two at most.

        Reads headers alone (of a video also its packets' times). Raises `SampleError`.
        """
        if media.kind == "video":
            spec = self._video_spec()
            crops = len(self._sampled(media, asked).indices)
        else:
            spec = self.image_spec
            crops = self._most_crops(media, asked)
        side = spec.patches
        rows, columns = side + spec.pooling[0] - 1, side + spec.pooling[1] - 1
        tokens = crops * (rows * columns // (spec.pooling[0] * spec.pooling[1]) + rows + 16)
        pixels = crops * side * side * 3 * spec.patch_size**2
        if self.pin:
            pixels = 1 << (pixels - 1).bit_length()  # as torch allocates pinned memory
        tables = crops * rows * columns * 8
        return self._name(media, asked), pixels + 2 * tables + 8 * tokens, tokens

    def _most_crops(self, media: Media, asked: Elicitation) -> int:
        """The low-resolution view among them. Of several pictures the first is measured alone."""
        from mpeval.engine.tiling import select_tiling

        most = asked.max_crops or self.image_spec.max_crops
        pictures = max(len(media.sources), len(media.frames))
        if pictures > 1:
            return pictures * (1 + most)
        width, height = media.size
        down, across = select_tiling(height, width, self.image_spec, most)
        return 1 + down * across

    def _prepare(self, name: str, media: Media, asked: Elicitation) -> ShownMedia:
        from mpeval.engine.prompt import images_token_ids, low_resolution_id, video_token_ids
        from mpeval.engine.tiling import tile_images, tile_video

        times: tuple[float, ...] = ()
        if media.kind == "video":
            spec, sampled = self._video_spec(), self._sampled(media, asked)
            times = tuple(sampled.times.tolist())
            tiles = [tile_video(media.clip.pixels(sampled.indices), spec)]
            ids = video_token_ids(tiles[0].grid, times, self.encode, self.config.tokens)
        else:
            spec = self.image_spec
            tiles = tile_images(media.pixels(), spec, asked.max_crops)
            grids = [each.grid for each in tiles]
            ids = images_token_ids(grids, self.encode, self.config.tokens, low_resolution_id(self.config))
        return _joined(name, media.kind, tiles, ids, spec, times, self.pin)

    def _video_spec(self) -> TilingSpec:
        if self.video_spec is None:
            raise SampleError(f"{self.model} takes no video: it has no {VIDEO}")
        return self.video_spec

    def _sampled(self, media: Media, asked: Elicitation) -> Sampled:
        from mpeval.video.sampling import sample

        return sample(media.clip, asked.sampling, asked.max_frames or self.max_frames)

    @staticmethod
    def _name(media: Media, asked: Elicitation) -> str:
        frames: tuple[Any, ...] = ()
        if media.kind == "video":
            frames = (media.span, media.times, media.rate, media.stated_fps, asked.max_frames, asked.sampling)
        return f"{media.sha256} {media.kind} {len(media.sources)} {media.size} {asked.max_crops} {frames}"


def _joined(
    name: str,
    kind: Literal["image", "images", "video"],
    tiles: Sequence[Tiles],
    ids: list[int],
    spec: TilingSpec,
    times: tuple[float, ...],
    pin: bool,
) -> ShownMedia:
    """All pictures' pixels in one piece of memory."""
    import numpy as np
    import torch

    parts = [each.pixels for each in tiles]
    pixels = torch.from_numpy(parts[0] if len(parts) == 1 else np.concatenate(parts))
    if pin:
        with suppress(RuntimeError):  # a host that cannot lock more memory copies more slowly, and goes on
            pixels = pixels.pin_memory()
    views = pixels.split([len(part) for part in parts])
    return ShownMedia(
        name,
        kind,
        [replace(each, pixels=view.numpy()) for each, view in zip(tiles, views, strict=True)],
        pixels,
        np.concatenate([each.token_pooling for each in tiles]),
        ids,
        spec,
        times,
    )
