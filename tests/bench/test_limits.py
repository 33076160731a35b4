"""What a model asks of the device, against torch's own counter and the released shapes; the machine's rates."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mpeval.bench.limits import (
    attention,
    bytes_a_step,
    copy_rate,
    host_peak_bytes,
    matmul_rate,
    prefill_operations,
    products,
    reset_host_peak,
)
from mpeval.bench.pictures import SCREEN_24_SIZE, SCREEN_64_SIZE, clip, picture
from mpeval.bench.subject import generate_all, sample_of, unshared
from mpeval.engine.checkpoint import empty_model
from mpeval.engine.config import ModelConfig
from mpeval.media import Media
from mpeval.model_adapters.random_weights import SIZES, configuration

from .subjects import tiny

CPU = torch.device("cpu")


@pytest.mark.parametrize(("media", "crops"), [(picture((640, 480)), 8), (clip(12), None)], ids=["image", "video"])
def test_products_are_those_that_torch_counts(media: Media, crops: int | None) -> None:
    """On a CPU its counter leaves attention out."""
    subject = tiny()
    sample = unshared(sample_of(subject, media, crops))
    with FlopCounterMode(display=False) as counter:
        generate_all(subject, [sample], 1, 1)
    counts = counter.get_flop_counts()["Global"]
    counted = sum(count for operation, count in counts.items() if "attention" not in str(operation))
    assert 0.97 < products(subject.model, sample) / counted < 1.001


def test_attention_is_between_what_sees_each_other() -> None:
    """Counted one by one for the decoder; a crop's patches all see each other."""
    subject = tiny()
    model, sample = subject.model, unshared(sample_of(subject, clip(3)))
    ids = torch.tensor([list(sample.ids)])
    seen = int(model.prefill_mask(ids, torch.ones_like(ids, dtype=torch.bool)).sum())
    vision, connector, decoder = model.config.vision, model.config.connector, model.config.decoder
    expected = seen * decoder.heads * decoder.head_dim * decoder.layers
    expected += 3 * 16 * 16 * vision.width * vision.layers
    expected += sample.pooling.size * connector.heads * connector.head_dim
    assert attention(model, sample) == 4 * expected


def test_operations_of_the_released_shapes_are_of_the_right_size() -> None:
    """24 crops at 8B: 2 * 6.95e9 weights a token, and 25 crops through the encoder."""
    with torch.device("meta"):
        model = empty_model(ModelConfig.from_json(configuration(SIZES["8b"])))
    tokens, crops = model.config.tokens, 25

    class Sample:
        ids = np.array([1, *[tokens.image_patch] * 2758, *[2] * 30])
        pixels = np.zeros((crops, 1, 1))
        pooling = np.zeros((2758, 4))

    found = prefill_operations(model, Sample())  # type: ignore[arg-type]
    decoder = 2 * 6.95e9 * len(Sample.ids)
    encoder = 2 * crops * 729 * 25 * (4 * 1152**2 + 2 * 1152 * 4304)
    assert decoder + encoder < found < 1.25 * (decoder + encoder)


def test_bytes_a_step_are_weights_once_and_a_cache_for_each_sample() -> None:
    with torch.device("meta"):
        model = empty_model(ModelConfig.from_json(configuration(SIZES["8b"]))).to(torch.bfloat16)
    weights = bytes_a_step(model, 1, 0)
    assert 15.1e9 < weights < 15.3e9, "7.57e9 numbers of two bytes: no embedding, no encoder"
    assert bytes_a_step(model, 32, 1000) - weights == 32 * 1000 * 2 * 36 * 8 * 128 * 2


def test_the_machine_s_rates_are_positive() -> None:
    assert copy_rate(CPU) > 1e7
    assert matmul_rate(CPU, torch.float32, 64) > 1e6


# By the system, not by what the function says: one that fails to read the number must fail here.
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak of memory since one last asked")
def test_the_host_s_peak_is_that_since_the_last_look() -> None:
    before = np.ones(30_000_000)
    high = host_peak_bytes()
    del before
    reset_host_peak()
    low = host_peak_bytes()
    assert low is not None and high is not None and high - low > 200e6


@pytest.mark.parametrize(("size", "most", "crops"), [(SCREEN_24_SIZE, 24, 25), (SCREEN_64_SIZE, 64, 65)])
def test_screens_have_the_crops_that_they_are_called_by(size: tuple[int, int], most: int, crops: int) -> None:
    """At the released crops as well as at the tests'."""
    from mpeval.engine.tiling import TilingSpec, select_tiling

    down, across = select_tiling(size[1], size[0], TilingSpec(max_crops=most), most)
    assert 1 + down * across == crops
    assert len(sample_of(tiny(), picture(size), most).pixels) == crops
