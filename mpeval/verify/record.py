"""Record what a released MolmoPoint checkpoint computes, as a folder that `mpeval verify` checks.

A plain file: run it in an environment of the release (Python 3.11, transformers 4.57, torch, numpy, pillow), where
mpeval need not be installed.

    python record.py allenai/MolmoPoint-8B recorded --trust-remote-code
    python record.py ./MolmoPoint-8B recorded --trust-remote-code --image photo.jpg --prompt "Point to the cup"

It runs the checkpoint's own Python code, which is why --trust-remote-code must be given: read that code first. Weights
are not copied. `docs/verify-with-real-weights.md` says what is recorded and how it is checked.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

FORMAT = 1
SETTINGS = (
    "config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "processor_config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
)
"""Small files of the checkpoint that are copied as they are, where there."""

TEXTS = (
    "Point to the red circle.",
    "  two spaces,\ttab,\nnewline\n\n",
    "0 1 12 123 1234 99.5% 3,141.59",
    "naïve café, Zürich, 東京, Москва, مرحبا, 🙂👍🏽",
    '<points coords="1 1 250 500">the cup</points>',
    "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n",
    "<im_patch><im_col><low_res_im_start> <POINT_0>",
    "don't, I'LL, x=y+1; foo_bar(baz[0])",
)
"""What the tokenizer is asked: spaces, numbers, scripts, special tokens."""

DEFAULT_PROMPT = "Point to the most prominent object."
TRIPLE = re.compile(r"<POINT_(\d+)> ?<POINT_(\d+)> ?<POINT_(\d+)> ?([0-9]*)")
"""A point in the release's text: image token, patch and ninth as numbers of one range, then the object's id, without
which the release takes it for none."""


@dataclass(frozen=True)
class Case:
    """One question on one or several pictures."""

    name: str
    pictures: tuple[np.ndarray, ...]
    """uint8 [height, width, 3]."""
    prompt: str
    force_point: bool = False
    """Whether the second token must begin a point: even an untrained model then shows its pointing heads."""


# --- what is asked --------------------------------------------------------------------------------


def drawn_cases() -> list[Case]:
    """Pictures of three shapes (more, fewer and many crops), and two of them in one prompt."""
    shapes, screen, dots = _shapes(), _screen(), _dots()
    return [
        Case("shapes", (shapes,), "Point to the red circle."),
        Case("shapes_forced", (shapes,), "Point to the blue square.", force_point=True),
        Case("screen", (screen,), "Point to the search button."),
        Case("dots", (dots,), "Point to all the blue dots."),
        Case("two", (dots, shapes), "Point to the blue things."),
    ]


def file_cases(files: Sequence[Path], prompts: Sequence[str]) -> list[Case]:
    """Each picture with each prompt."""
    cases = []
    for number, file in enumerate(files):
        with Image.open(file) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        for index, prompt in enumerate(prompts):
            cases.append(Case(f"file{number}_{index}", (pixels,), prompt))
    return cases


def _shapes() -> np.ndarray:
    image = Image.new("RGB", (640, 480), (235, 235, 225))
    draw = ImageDraw.Draw(image)
    draw.ellipse((90, 120, 210, 240), fill=(200, 30, 30))
    draw.rectangle((400, 80, 500, 180), fill=(30, 60, 200))
    draw.polygon([(320, 400), (260, 300), (380, 300)], fill=(20, 140, 50))
    return np.asarray(image)


def _screen() -> np.ndarray:
    image = Image.new("RGB", (1600, 900), (250, 250, 250))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 1600, 60), fill=(40, 44, 52))
    for column, label in enumerate(("File", "Edit", "View", "Help")):
        draw.text((30 + 90 * column, 22), label, fill=(255, 255, 255))
    draw.rectangle((500, 300, 1000, 350), outline=(120, 120, 120), width=2)
    draw.rectangle((1020, 300, 1120, 350), fill=(30, 110, 230))
    draw.text((1048, 318), "Search", fill=(255, 255, 255))
    return np.asarray(image)


def _dots() -> np.ndarray:
    image = Image.new("RGB", (300, 900), (255, 255, 255))
    draw = ImageDraw.Draw(image)
    for row, color in enumerate([(30, 60, 200), (220, 160, 20), (30, 60, 200), (30, 60, 200)]):
        x, y = 60 + 50 * row, 100 + 200 * row
        draw.ellipse((x - 20, y - 20, x + 20, y + 20), fill=color)
    return np.asarray(image)


# --- what came out --------------------------------------------------------------------------------


@dataclass
class Steps:
    """A logits processor around the release's own, which keeps what goes in and comes out at every step."""

    processor: Any
    """The release's, which keeps points in order."""
    prompt_length: int
    best_patch: Callable[[], int] | None = None
    """The extended id of the image token that the model likes best: forced as the second token, where given."""
    raw: list[np.ndarray] = field(default_factory=list)
    """Logits over the extended vocabulary, one array a step."""
    processed: list[np.ndarray] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    """Generated before the step that was last begun."""

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        self.ids = input_ids[0, self.prompt_length :].tolist()
        self.raw.append(scores[0].float().cpu().numpy().copy())
        scores = self.processor(input_ids, scores)  # it writes into `scores`
        self.processed.append(scores[0].float().cpu().numpy().copy())
        if self.best_patch is not None and len(self.ids) == 1:
            forced = scores.new_full(scores.shape, -float("inf"))
            forced[:, self.best_patch()] = 0
            return forced
        return scores


def triples_of(text: str, image_tokens: int, subpatches: int) -> np.ndarray:
    """(image token, patch within it, ninth, object id) of each point written, int [points, 4]; -1: without an id."""
    first_patch, first_ninth = image_tokens + 1, image_tokens + 1 + subpatches
    found = [[int(number or -1) for number in match.groups()] for match in TRIPLE.finditer(text)]
    rows = [(token, patch - first_patch, ninth - first_ninth, name) for token, patch, ninth, name in found]
    return np.array(rows, dtype=np.int64).reshape(-1, 4)


def golden_arrays(
    case: Case, inputs: dict[str, np.ndarray], metadata: dict[str, Any], steps: Steps, generated: Sequence[int]
) -> dict[str, np.ndarray]:
    """The arrays of one case but those that need the model's text.

    inputs: the processor's, batch of one; generated: extended ids, as many as there are steps with numbers.
    """
    several = len(case.pictures) > 1
    numbered = [f"_{index}" if several else "" for index in range(len(case.pictures))]
    arrays = {f"image{number}": picture for number, picture in zip(numbered, case.pictures)}
    for number, mapping in zip(numbered, metadata["subpatch_mapping"]):
        arrays[f"subpatch_mapping{number}"] = np.asarray(mapping)
    count = len(generated)
    return arrays | {
        "pixel_values": np.asarray(inputs["pixel_values"], np.float32),
        "image_grids": np.asarray(inputs["image_grids"]),
        "image_num_crops": np.asarray(inputs["image_num_crops"]),
        "token_pooling": np.asarray(metadata["token_pooling"]),
        "input_ids": np.asarray(inputs["input_ids"])[0],
        "token_type_ids": np.asarray(inputs["token_type_ids"])[0],
        "forced": np.array(generated[: max(count - 1, 0)], dtype=np.int64),
        "generated": np.array(generated, dtype=np.int64),
        "logits": np.stack(steps.raw[:count]),
        "processed": np.stack(steps.processed[:count]),
    }


# --- running the release --------------------------------------------------------------------------


Recorded = tuple[dict[str, np.ndarray], str | None]
"""A case's arrays, and what the release's program died of, where it did."""


class Release:
    """A loaded checkpoint with its own program."""

    def __init__(self, checkpoint: str, revision: str | None, dtype: str, device: str) -> None:
        import torch
        from transformers import AutoModelForImageTextToText, AutoProcessor

        options = {"trust_remote_code": True, "revision": revision}
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        self.dtype, self.device = dtype, device
        self.processor = AutoProcessor.from_pretrained(checkpoint, padding_side="left", **options)
        weights = getattr(torch, dtype)
        model: Any = AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=weights, **options)
        self.model = model.to(device).eval()
        if self.model.config.model_type != "molmo_point":
            raise SystemExit(f"record: {checkpoint} is of type {self.model.config.model_type}: only MolmoPoint points")
        self._patch_logits: list[np.ndarray] = []
        self.model.register_forward_hook(self._keep_patch_logits)

    def chat(self, case: Case) -> str:
        """The prompt as the chat template writes it."""
        return self.processor.apply_chat_template(_messages(case), tokenize=False, add_generation_prompt=True)

    def record(self, case: Case, max_crops: int | None, max_new_tokens: int) -> Recorded:
        """Ask one question, greedily."""
        import torch

        extra = {} if max_crops is None else {"max_crops": max_crops}
        inputs = self.processor.apply_chat_template(
            _messages(case),
            tokenize=True,
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
            return_pointing_metadata=True,
            **extra,
        )
        metadata = inputs.pop("metadata")
        on_device = {name: value.to(self.device) for name, value in inputs.items()}
        (constraint,) = self.model.build_logit_processor_from_inputs(on_device)
        bounds = constraint.bounds
        prompt_length = on_device["input_ids"].shape[1]

        def best_patch() -> int:
            return bounds.patch_start + int(self._patch_logits[-1][: bounds.n_patches].argmax())

        steps = Steps(constraint, prompt_length, best_patch if case.force_point else None)
        self._patch_logits.clear()
        error = None
        half = torch.autocast(self.device.split(":")[0], torch.bfloat16, enabled=self.dtype == "bfloat16")
        try:
            with torch.inference_mode(), half:
                output = self.model.generate(
                    **on_device, logits_processor=[steps], max_new_tokens=max_new_tokens, do_sample=False
                )
            generated = output[0, prompt_length:].tolist()
        except AssertionError as failure:  # the processor, where it would have to repeat a point
            generated, error = steps.ids, f"AssertionError: {failure}"
        plain = {name: value.numpy() for name, value in inputs.items()}
        arrays = golden_arrays(case, plain, metadata, steps, generated)
        text = self.processor.post_process_image_text_to_text(
            torch.tensor([generated]), skip_special_tokens=False, clean_up_tokenization_spaces=False
        )[0]
        points = self.model.extract_image_points(
            text, metadata["token_pooling"], metadata["subpatch_mapping"], metadata["image_sizes"]
        )
        arrays["text"] = np.array(text)
        arrays["triples"] = triples_of(text, bounds.n_patches, bounds.n_subpatches)
        arrays["points"] = np.array(points, dtype=np.float64).reshape(-1, 4)
        wide = np.zeros((0, bounds.n_patches + 1), np.float32)
        arrays["patch_logits"] = np.concatenate([wide, *(row[None] for row in self._patch_logits)])[
            : len(arrays["forced"])
        ]
        return arrays, error

    def _keep_patch_logits(self, module: Any, arguments: Any, output: Any) -> None:
        if output.patch_logits is not None:  # there is none after the prompt
            self._patch_logits.append(output.patch_logits[0, -1].float().cpu().numpy())


def _messages(case: Case) -> list[dict[str, Any]]:
    pictures = [{"type": "image", "image": Image.fromarray(picture)} for picture in case.pictures]
    return [{"role": "user", "content": [{"type": "text", "text": case.prompt}, *pictures]}]


def checkpoint_folder(checkpoint: str, revision: str | None) -> tuple[Path, str | None]:
    """Where the checkpoint's small files lie, and the commit where it comes from the Hub."""
    if Path(checkpoint).is_dir():
        return Path(checkpoint), None
    from huggingface_hub import snapshot_download

    folder = Path(snapshot_download(checkpoint, revision=revision, allow_patterns=["*.json", "*.jinja", "*.txt"]))
    return folder, folder.name


def copy_settings(folder: Path, out: Path) -> list[str]:
    """Copy the checkpoint's small files; returns which there were."""
    there = [name for name in SETTINGS if (folder / name).is_file()]
    for name in there:
        shutil.copyfile(folder / name, out / name)
    return there


def versions() -> dict[str, str]:
    """Of what computes the numbers."""
    import torch
    import transformers

    found = {"python": platform.python_version(), "torch": torch.__version__, "transformers": transformers.__version__}
    return {**found, "numpy": np.__version__, "platform": platform.platform()}


def positive(word: str) -> int:
    """A number from 1 on."""
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"{word!r} is no number from 1 on")
    return int(word)


def is_picture(file: Path) -> bool:
    """Whether a file can be read as a picture."""
    try:
        with Image.open(file) as picture:
            picture.verify()
    except (OSError, SyntaxError):  # Pillow's words for a damaged file
        return False
    return True


def arguments_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; exits with one line where it is wrong."""
    parser = argparse.ArgumentParser(description="Record what a released MolmoPoint checkpoint computes.")
    parser.add_argument("checkpoint", help="A folder, or a repository of the Hub.")
    parser.add_argument("out", type=Path, help="A new folder.")
    parser.add_argument("--trust-remote-code", action="store_true", help="Run the checkpoint's own Python code.")
    parser.add_argument("--revision", help="Commit of the repository.")
    parser.add_argument("--image", type=Path, action="append", default=[], metavar="FILE", help="A picture more.")
    parser.add_argument("--prompt", action="append", metavar="TEXT", help=f"Asked of each. [{DEFAULT_PROMPT}]")
    parser.add_argument("--no-drawn", action="store_true", help="Leave the pictures that this script draws out.")
    parser.add_argument("--max-crops", type=positive, metavar="N", help="Of a picture at most. [the checkpoint's]")
    parser.add_argument("--max-new-tokens", type=positive, default=48, metavar="N")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1.")
    options = parser.parse_args(words)
    if not options.trust_remote_code:
        parser.error("the checkpoint's own code must be run: read it, then give --trust-remote-code")
    if options.out.exists() and any(options.out.iterdir()):
        parser.error(f"{options.out} is not empty: give a new folder")
    if options.no_drawn and not options.image:
        parser.error("nothing to record: give --image, or leave --no-drawn out")
    repository = options.checkpoint.count("/") == 1 and not options.checkpoint.startswith((".", "/", "~"))
    if not repository and not Path(options.checkpoint).is_dir():
        parser.error(f"{options.checkpoint} is neither a folder nor OWNER/NAME of the Hub")
    for file in options.image:
        if not file.is_file():
            parser.error(f"{file} is missing")
        if not is_picture(file):
            parser.error(f"{file} is no picture that can be read")
    return options


def main(words: Sequence[str] | None = None) -> None:
    """Record all cases. `recording.json` is written last: a folder without it is not done."""
    options = arguments_of(words)
    folder, commit = checkpoint_folder(options.checkpoint, options.revision)
    cases = [] if options.no_drawn else drawn_cases()
    cases += file_cases(options.image, options.prompt or [DEFAULT_PROMPT])
    release = Release(options.checkpoint, commit, options.dtype, options.device)
    options.out.mkdir(parents=True, exist_ok=True)
    copied = copy_settings(folder, options.out)
    noted: dict[str, dict[str, Any]] = {}
    for case in cases:
        arrays, error = release.record(case, options.max_crops, options.max_new_tokens)
        (options.out / case.name).mkdir()
        np.savez_compressed(options.out / case.name / "golden.npz", **arrays)  # type: ignore[arg-type]
        noted[case.name] = {
            "prompt": case.prompt,
            "chat": release.chat(case),
            "force_point": case.force_point,
            "error": error,
        }
        counts = f"{len(arrays['generated'])} tokens, {len(arrays['points'])} points"
        print(f"{case.name}: {counts}: {str(arrays['text'])!r}")
    encode = release.processor.tokenizer.encode
    recording = {
        "format": FORMAT,
        "checkpoint": options.checkpoint,
        "commit": commit,
        "dtype": options.dtype,
        "device": options.device,
        "versions": versions(),
        "max_crops": options.max_crops or release.processor.image_processor.max_crops,
        "settings": copied,
        "tokenizer": [{"text": text, "ids": encode(text, add_special_tokens=False)} for text in TEXTS],
        "cases": noted,
    }
    (options.out / "recording.json").write_text(json.dumps(recording, indent=1, ensure_ascii=False) + "\n")
    print(f"recorded in {options.out}; check it with: mpeval verify {options.out} --model NAME:FOLDER", file=sys.stderr)


if __name__ == "__main__":
    main()
