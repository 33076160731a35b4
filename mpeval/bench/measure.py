"""All cases in order, each within its time; one that fails says so, and the others go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import msgspec

from mpeval.bench.clock import Clock, TimeIsUp
from mpeval.bench.decoding import measure_decoding
from mpeval.bench.goals import goals_of
from mpeval.bench.limits import copy_rate, matmul_rate, memory_errors
from mpeval.bench.media import KINDS, media_case, sharing_case
from mpeval.bench.pictures import FRAME_SIZE
from mpeval.bench.results import Decoding, Environment, Limits, MediaCase, Report, ScreenRun, Sharing
from mpeval.bench.results import Subject as Measured
from mpeval.bench.run import screen_run
from mpeval.bench.subject import Subject

if TYPE_CHECKING:
    import torch

CASES = ("decoding", "image", "screen-24", "screen-64", "video", "sharing", "run")
TOO_LONG = "not measured in the time given (--seconds)"

R = TypeVar("R", Decoding, MediaCase, Sharing, ScreenRun, Limits)


@dataclass(frozen=True)
class Plan:
    """What is measured, and in how much time."""

    cases: tuple[str, ...] = CASES
    batches: tuple[int, ...] = (1, 8, 32)
    tokens: int = 200
    """In an answer, for decoding: at most."""
    frames: int = 32
    screens: int = 32
    """Of the whole run: at most."""
    questions: int = 16
    """On one screen: at most."""
    case_seconds: float = 6.0
    """Aimed at for each case."""
    run_share: float = 4.0
    """How many times as long the run of screens may take."""
    most_share: float = 19.0
    """How many times as long everything together may take: what has not begun by then is not measured."""
    goals: bool = False

    @property
    def steps(self) -> int:
        """Cases, each batch of decoding and each screen of the run counted."""
        batches = ("decoding" in self.cases) * (len(self.batches) - 1)
        return len(self.cases) + batches + ("run" in self.cases) * self.screens


CPU = Plan()
"""Within two minutes."""
GPU = Plan(frames=128, screens=500, questions=64, case_seconds=15.0, run_share=22.0, most_share=36.0)
"""For an accelerator, within nine minutes; a run of 500 screens takes most of them."""


def measure(subject: Subject, plan: Plan, environment: Environment, advance: Callable[[int], None]) -> Report:
    """Every case of the plan. advance is told of steps that are done, `plan.steps` in all."""
    device = subject.model.device
    clock = Clock(plan.case_seconds, plan.most_share * plan.case_seconds)
    limits = _guarded(lambda: _limits(subject), lambda note: Limits(note=note), clock, device)
    decoding: list[Decoding] = []
    for batch in sorted(plan.batches) if "decoding" in plan.cases else ():
        decoding.append(
            _guarded(
                lambda batch=batch: measure_decoding(subject, batch, plan.tokens, clock, limits),  # type: ignore[misc]
                lambda note, batch=batch: Decoding(batch=batch, note=note),  # type: ignore[misc]
                clock,
                device,
            )
        )
        advance(1)
    media = []
    for name in (*KINDS, "video"):
        if name in plan.cases:
            size = FRAME_SIZE if name == "video" else KINDS[name][0]
            media.append(
                _guarded(
                    lambda name=name: media_case(subject, name, plan.frames, clock, limits),  # type: ignore[misc]
                    lambda note, name=name, size=size: MediaCase(name=name, size=size, note=note),  # type: ignore[misc]
                    clock,
                    device,
                )
            )
            advance(1)
    sharing = run = None
    if "sharing" in plan.cases:
        sharing = _guarded(
            lambda: sharing_case(subject, plan.questions, clock),
            lambda note: Sharing(questions=plan.questions, note=note),
            clock,
            device,
        )
        advance(1)
    if "run" in plan.cases:
        stored = 0

        def store(rows: int) -> None:
            nonlocal stored
            stored += rows
            advance(rows)

        run = _guarded(
            lambda: screen_run(subject, plan.screens, plan.run_share * plan.case_seconds, store),
            lambda note: ScreenRun(screens=plan.screens, note=note),
            clock,
            device,
            plan.run_share,
        )
        advance(1 + plan.screens - stored)  # where fewer fit into the time
    weights = list(subject.model.parameters())
    measured = Measured(
        name=subject.name,
        parameters=sum(each.numel() for each in weights),
        weight_bytes=sum(each.nbytes for each in weights),
        crop=subject.model.config.vision.crop_size[0],
    )
    decoding = _gains(decoding)
    goals = goals_of(decoding, media, run) if plan.goals else []
    return Report(
        environment=environment, model=measured, limits=limits, decoding=decoding, media=media, sharing=sharing,
        run=run, seconds=clock.passed, goals=goals,
    )  # fmt: skip


def _limits(subject: Subject) -> Limits:
    device = subject.model.device
    size = 8192 if device.type == "cuda" else 1024
    return Limits(
        copy_rate=copy_rate(device),
        matmul_rate=matmul_rate(device, subject.model.dtype, size),
        matmul_size=size,
    )


def _guarded(
    work: Callable[[], R], failed: Callable[[str], R], clock: Clock, device: torch.device, share: float = 1.0
) -> R:
    """What `work` measures, or what `failed` makes of the reason why it could not."""
    from mpeval.engine.memory import is_out_of_memory, release_memory

    before = memory_errors(device)
    try:
        with clock.limit(share):
            result = work()
        if memory_errors(device) == before:
            return result
        note = "out of memory: the engine went on with fewer samples at once"
    except TimeIsUp:
        note = TOO_LONG
    except Exception as error:
        note = "out of memory" if is_out_of_memory(error) else f"{type(error).__name__}: {error}"
    # Outside of the handler: the exception held the failed case's tensors in memory.
    release_memory(device)
    return failed(note)


def _gains(decoding: list[Decoding]) -> list[Decoding]:
    """With each batch's tokens a second against those of batch 1."""
    alone = next((each.tokens_a_second for each in decoding if each.batch == 1), None)
    return [
        msgspec.structs.replace(each, gain=each.tokens_a_second / alone) if alone and each.tokens_a_second else each
        for each in decoding
    ]


def with_options(plan: Plan, **changes: object) -> Plan:
    """The plan with what a user asked for otherwise: those that are not None."""
    return replace(plan, **{name: value for name, value in changes.items() if value is not None})  # type: ignore[arg-type]
