"""Time the released MolmoPoint program on prepared queries. `speed.py` starts it; see there.

A plain file for an environment of the release (Python 3.11, transformers 4.57, torch, numpy), without mpeval. It
runs the release's own code from the folder it is given; read that code first.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
import types
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any


class _Absent(types.ModuleType):
    """Stands for a module that the release imports and that prepared queries never call."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{self.__name__} is not installed: {name} was not expected to be needed")


def stand_in(*names: str) -> None:
    """Let the release import modules that are not there, or that do not import here."""
    for name in names:
        try:
            importlib.import_module(name)
        except Exception:  # torchvision of another build fails with whatever its binary part says
            for part in [each for each in sys.modules if each == name or each.startswith(f"{name}.")]:
                del sys.modules[part]
            module = sys.modules[name] = _Absent(name)
            module.__spec__, module.__path__ = ModuleSpec(name, None), []
            if "." in name:
                parent, _, child = name.rpartition(".")
                setattr(sys.modules[parent], child, module)


def load(code: Path, checkpoint: Path) -> Any:
    """The checkpoint in the release's own model, float32 on the CPU, as `from_pretrained` sets it up."""
    import torch
    import transformers.image_transforms
    import transformers.image_utils
    import transformers.processing_utils
    import transformers.video_utils  # noqa: F401 (they ask whether torchvision is there: before it is stood in for)

    stand_in("einops", "requests", "torchvision", "torchvision.transforms")
    sys.path.insert(0, str(code.resolve().parent))
    modeling = importlib.import_module(f"{code.resolve().name}.modeling_molmo_point")
    return modeling.MolmoPointForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32).eval()


def inputs_of(query: dict[str, Any]) -> dict[str, Any]:
    """The release's arguments for one of `speed.write_queries`."""
    import torch

    ids = torch.as_tensor(query["ids"])[None]
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "token_type_ids": torch.as_tensor(query["types"])[None],
        "pixel_values": torch.as_tensor(query["pixels"]),
        "image_token_pooling": torch.as_tensor(query["pooling"]),
        "image_grids": torch.as_tensor(query["grid"])[None],
        "image_num_crops": torch.as_tensor([len(query["pixels"])]),
    }


Stamp = tuple[float, float]
"""Wall time and the process's own processor time, seconds."""


def now() -> Stamp:
    return time.perf_counter(), time.process_time()


def times_of(begun: Stamp, steps: list[Stamp], ended: Stamp) -> dict[str, float]:
    """Seconds until the first token, between the first and the last, and of it all, these two on the processor too."""
    first, last = steps[0], steps[-1]
    return {
        "first": first[0] - begun[0],
        "decode": last[0] - first[0],
        "all": ended[0] - begun[0],
        "decode_processor": last[1] - first[1],
        "all_processor": ended[1] - begun[1],
    }


def answer(model: Any, inputs: dict[str, Any], tokens: int, stamps: list[Stamp]) -> tuple[list[int], dict[str, float]]:
    """Extended ids of a greedy answer of `tokens` tokens, and its times."""
    import torch

    stamps.clear()
    begun = now()
    with torch.inference_mode():
        output = model.generate(
            **inputs,
            logits_processor=model.build_logit_processor_from_inputs(inputs),
            max_new_tokens=tokens,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
        )
    times = times_of(begun, stamps, now())
    return output[0, inputs["input_ids"].shape[1] :].tolist(), times


def main(words: Sequence[str] | None = None) -> None:
    """Answer the queries one after the other; write ids and times as JSON."""
    parser = argparse.ArgumentParser(description="Time the released program on prepared queries.")
    parser.add_argument("code", type=Path, help="The folder of the release's modeling_molmo_point.py.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("queries", type=Path, help="A file of speed.py.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--queries", dest="numbers", type=int, nargs="+", required=True, help="Which of them.")
    parser.add_argument("--tokens", type=int, required=True, help="Tokens of each answer.")
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args(words)

    import numpy as np
    import torch
    import transformers

    torch.set_num_threads(options.threads)
    model = load(options.code, options.checkpoint)
    stamps: list[Stamp] = []
    model.register_forward_hook(lambda *_: stamps.append(now()))
    with np.load(options.queries) as file:
        arrays = {name: file[name] for name in file.files}
    queries = [inputs_of({name: arrays[name][index] for name in arrays}) for index in options.numbers]
    answer(model, queries[0], 3, stamps)  # warms up
    answers = [answer(model, query, options.tokens, stamps) for query in queries]
    found = {
        "ids": [ids for ids, _ in answers],
        "times": [times for _, times in answers],
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }
    options.out.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
