"""`mpeval bench`: how fast a model runs on this machine, against what the machine could do at best."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import click

from mpeval.errors import UserError
from mpeval.registry import ModelOptions

MOST_SAMPLES, MOST_THREADS, MOST_SECONDS = 4096, 1024, 3600
"""Beyond these a slip of the finger takes the machine down before it says what is wrong."""
CASES = ("decoding", "image", "screen-24", "screen-64", "video", "sharing", "run")


class Numbers(click.ParamType):
    """`1,8,32`: numbers from 1 to `MOST_SAMPLES`."""

    name = "N[,N]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        parts = str(value).split(",")
        if not all(re.fullmatch("[0-9]{1,4}", part) and 1 <= int(part) <= MOST_SAMPLES for part in parts):
            self.fail(f"{value!r} is no list of numbers from 1 to {MOST_SAMPLES}, such as 1,8,32", param, ctx)
        return tuple(sorted({int(part) for part in parts}))


class Cases(click.ParamType):
    """Names of cases."""

    name = "CASE[,CASE]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        asked = str(value).split(",")
        if wrong := [each for each in asked if each not in CASES]:
            self.fail(f"{wrong[0]!r} is none of {', '.join(CASES)}", param, ctx)
        return tuple(each for each in CASES if each in asked)


class Seconds(click.FloatRange):
    """A time within reason: the range alone would let "not a number" pass."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        seconds = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r} is no time", param, ctx)
        return seconds


@click.command(name="bench")
@click.option("--model", "spec", metavar="M", help="A model as 'mpeval run' takes it, or a checkpoint's folder.")
@click.option("--size", metavar="SIZE", help="Random weights: tiny, small, 0.5b, 8b. Default: 8b on a GPU, else small.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1.")
@click.option("--dtype", type=click.Choice(["auto", "float32", "bfloat16", "float16"]), default="auto")
@click.option("--threads", type=click.IntRange(1, MOST_THREADS), metavar="N", help="Threads of torch on a CPU.")
@click.option("--preset", type=click.Choice(["gpu"]), help="All that an accelerator is judged by, in 10 minutes.")
@click.option("--cases", type=Cases(), help=f"Some of {', '.join(CASES)}.")
@click.option("--batches", type=Numbers(), help="Samples decoded together.  [default: 1,8,32]")
@click.option("--tokens", type=click.IntRange(min=2), metavar="N", help="In a decoded answer.  [default: 200]")
@click.option("--frames", type=click.IntRange(min=1), metavar="N", help="Of the video.  [default: 32; gpu: 128]")
@click.option("--screens", type=click.IntRange(min=4), metavar="N", help="Of the whole run.  [default: 32; gpu: 500]")
@click.option("--seconds", type=Seconds(0.1, MOST_SECONDS), metavar="S", help="For a case.  [default: 6; gpu: 15]")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Write the figures: FILE.json, FILE.md.")
def command(
    spec: str | None,
    size: str | None,
    device: str,
    dtype: str,
    threads: int | None,
    preset: str | None,
    cases: tuple[str, ...] | None,
    batches: tuple[int, ...] | None,
    tokens: int | None,
    frames: int | None,
    screens: int | None,
    seconds: float | None,
    out: Path | None,
) -> None:
    """Measure how fast a model runs here, and what share of the machine's own limits that is.

    Random weights serve as well as trained ones. A case gets the seconds given, the run of screens 4 times as many
    (on a GPU 22 times): answers are shorter and samples fewer where they would not fit.
    """
    from mpeval.bench import report

    if spec is not None and size is not None:
        raise UserError("give either --model or --size")
    if out is not None:
        report.check_file(out)

    import torch

    from mpeval.bench.environment import environment
    from mpeval.bench.measure import CPU, GPU, measure, with_options
    from mpeval.engine.device import choose_device, choose_dtype
    from mpeval.report import progress

    place = choose_device(device)
    base = GPU if preset == "gpu" or place.type == "cuda" else CPU
    plan = with_options(
        base,
        goals=preset == "gpu",
        cases=cases,
        batches=batches,
        tokens=tokens,
        frames=frames,
        screens=screens,
        case_seconds=seconds,
    )
    if threads is not None:
        torch.set_num_threads(threads)
    machine = environment(place, choose_dtype(dtype, place))
    subject = _subject(spec, size, ModelOptions(device, dtype), place)
    with progress("measuring", plan.steps) as advance:
        found = measure(subject, plan, machine, advance)
    report.show(found)  # first: where the file cannot be written in the end, minutes of measuring are not lost
    if out is not None:
        report.write(out, found)


def _subject(spec: str | None, size: str | None, options: ModelOptions, place: Any) -> Any:
    """The model on its device. Raises `UserError` for one that is unknown, elsewhere or too large."""
    from mpeval import registry
    from mpeval.bench.subject import checked

    if spec is None:
        spec = f"random-weights:{size or ('8b' if place.type == 'cuda' else 'small')}"
    elif Path(spec).expanduser().is_dir():
        spec = f"molmo:{spec}"
    entry, argument = registry.resolve_model(spec)
    return checked(entry.load(argument, options))
