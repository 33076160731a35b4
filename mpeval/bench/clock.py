"""Time that cases may take: repeats as far as it reaches, and an end where one takes far too long."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from mpeval.bench.limits import seconds

if TYPE_CHECKING:
    import torch

ONCE = "timed once"
PATIENCE = 4
"""A case is broken off when it takes this many times the time that it should."""
MOST_REPEATS = 5


class TimeIsUp(BaseException):
    """Not an `Exception`: the engine tries again after those."""


@dataclass(frozen=True)
class Timing:
    seconds: float
    """The median."""
    repeats: int
    """0: there was time for one call alone."""


class Clock:
    """The whole call's time, and a case's."""

    def __init__(self, case_seconds: float, most_seconds: float) -> None:
        """case_seconds: aimed at for each case. most_seconds: for everything together."""
        self.case_seconds = case_seconds
        self._begun = time.monotonic()
        self._end = self._begun + most_seconds

    @property
    def passed(self) -> float:
        return time.monotonic() - self._begun

    @property
    def left(self) -> float:
        """Seconds until everything must be done."""
        return self._end - time.monotonic()

    @contextmanager
    def limit(self, share: float = 1.0) -> Iterator[None]:
        """Raise `TimeIsUp` in a block that takes `PATIENCE` times its share of a case's time, or passes the end.

        Kernels that run already are waited for. Without effect outside of the main thread.
        """
        most = min(PATIENCE * share * self.case_seconds, self.left)
        if most <= 0:
            raise TimeIsUp
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(*_: object) -> None:
            raise TimeIsUp

        before = signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, most)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def time_in_turn(
        self, works: list[Callable[[], object]], device: torch.device, share: float = 1.0
    ) -> list[Timing]:
        """Once to warm up, then as often as the share of a case's time allows, `MOST_REPEATS` times at most.

        In turn, so that a machine's other load falls on all alike.
        """
        budget = share * self.case_seconds
        warm = [seconds(work, device) for work in works]
        left, taken = budget - sum(warm), list[list[float]]()
        while len(taken) < MOST_REPEATS and left > sum(taken[-1] if taken else warm):
            taken.append([seconds(work, device) for work in works])
            left -= sum(taken[-1])
        if not taken:
            return [Timing(each, 0) for each in warm]
        return [Timing(median(each), len(taken)) for each in zip(*taken, strict=True)]
