"""A batch of four 6K screenshots at 64 crops: host memory, measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mpeval.engine.config import ModelConfig
from mpeval.engine.model import VisionLanguageModel
from mpeval.model_adapters.tiny import config
from mpeval.model_adapters.tiny.run_folder import export

LIMIT = 2e9
"""Bytes for the whole process, Python and torch included."""

MEASURE = """
import resource, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mpeval.engine.batch import join_media
from mpeval.media import Media
from mpeval.model_adapters.molmo import MolmoAdapter
from mpeval.registry import ModelOptions
from mpeval.types import Elicitation, Query

folder, *screens = map(Path, sys.argv[1:])
adapter = MolmoAdapter("small", folder, ModelOptions(device="cpu"))
asked = Elicitation("test", max_new_tokens=1, max_crops=64)
queries = [Query("0", Media.image(screen), "Find it", asked) for screen in screens]
with ThreadPoolExecutor(4) as pool:  # as the runner prepares
    batch = list(pool.map(adapter.prepare, queries))
assert len(batch[0].shown.pixels) == 61, "ten by six crops and the whole"
assert all(each.nbytes <= adapter.footprint(query).media_bytes for each, query in zip(batch, queries))
crops = [adapter.engine_input(each).crops(adapter.device) for each in batch]
media = join_media(crops, [each.shown.pooling for each in batch], 729)
assert media.pixels.shape == (4 * 61, 729, 588)
print(1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model as small as can be around the released crops."""
    monkeypatch.setattr(config, "CROP", 378)
    monkeypatch.setattr(config, "PATCH", 14)
    monkeypatch.setattr(config, "VISION", {"width": 16, "mlp": 16, "heads": 2, "layers": 2})
    decoder = {"width": 16, "mlp": 16, "heads": 2, "kv_heads": 1, "head_dim": 8, "layers": 2}
    monkeypatch.setattr(config, "DECODER", decoder)
    model = VisionLanguageModel(ModelConfig.from_json(config.model_config("grounding")))
    export(model, tmp_path / "model", "grounding")
    change(tmp_path / "model" / "preprocessor_config.json", overlap_margins=[4, 4])
    raw = json.loads((tmp_path / "model" / "config.json").read_text())
    change(tmp_path / "model" / "config.json", text_config=raw["text_config"] | {"max_position_embeddings": 10000})
    return tmp_path / "model"


def change(file: Path, **values: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


@pytest.mark.slow
def test_four_large_screens_fit_in_two_gigabytes(folder: Path, tmp_path: Path) -> None:
    screens = [tmp_path / f"screen{number}.png" for number in range(4)]
    for number, screen in enumerate(screens):  # four pictures: questions on one would share its tiles
        column = ((np.arange(6016) // 300 * 9 + number) % 256).astype(np.uint8)[None, :, None]
        pixels = np.broadcast_to(column, (3384, 6016, 3))
        Image.fromarray(np.ascontiguousarray(pixels)).save(screen, compress_level=1)
    command = [sys.executable, "-c", MEASURE, str(folder), *map(str, screens)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) < LIMIT
