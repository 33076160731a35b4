"""A decoding step on a GPU is captured as a CUDA graph and replayed: launching its kernels one by one takes longer than
they run when few samples are at work.

A graph knows addresses and sizes. So a step reads and writes tensors that stay where they are, and there is a graph for
each number of slots and each span of the cache that is read.
"""

from __future__ import annotations

import gc
import logging
import weakref
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

import torch

logger = logging.getLogger(__name__)

Step = Callable[[], None]
Capture = Callable[[Step], Step]
"""Runs a step's Python once, without effect on the device, and returns what replays it."""

MOST_GRAPHS = 32
"""Graphs that are kept: samples of very different lengths make many."""


class CapturedSteps:
    """Runs steps, by replaying them where they can be captured."""

    def __init__(self, device: torch.device, capture: Capture | None = None) -> None:
        self.capture = capture or (CudaCapture(device) if device.type == "cuda" else None)
        self.seen: set[Hashable] = set()
        self.graphs: dict[Hashable, Step] = {}
        """By key, the one that was used longest ago first."""
        self.held: list[weakref.ref[object] | None] = []

    def run(self, key: Hashable, held: Sequence[object], step: Step) -> None:
        """Run a step. Steps of one key differ in nothing but what their tensors hold.

        held: what steps read that may be replaced by something larger, after which no graph is valid any more.
        """
        if self.capture is None:
            step()
            return
        self._forget_old(held)
        if key not in self.seen:
            # once as it is: libraries set themselves up at their first call, which cannot be captured
            self.seen.add(key)
            step()
            return
        graph = self.graphs.pop(key, None) or self._captured(self.capture, step)
        if graph is None:
            step()
            return
        self.graphs[key] = graph
        graph()

    def _captured(self, capture: Capture, step: Step) -> Step | None:
        """None where it cannot be captured: then no other one will be either."""
        if len(self.graphs) >= MOST_GRAPHS:
            del self.graphs[next(iter(self.graphs))]
        try:
            return capture(step)
        except Exception as error:
            said = str(error).partition("\n")[0]
            logger.warning("decoding goes on without CUDA graphs, which is slower: %s", said)
        self.capture = None
        self.graphs.clear()
        return None

    def _forget_old(self, held: Sequence[object]) -> None:
        same = len(held) == len(self.held) and all(
            (old is None and new is None) or (old is not None and old() is new)
            for old, new in zip(self.held, held, strict=False)
        )
        if not same:
            self.graphs.clear()
            self.seen.clear()
            self.held = [None if each is None else weakref.ref(each) for each in held]


class CudaCapture:
    """Captures on one device; graphs that exist together share the memory of what a step makes in between."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.graphs: weakref.WeakSet[torch.cuda.CUDAGraph] = weakref.WeakSet()

    def __call__(self, step: Step) -> Step:
        # A pool ends with the last graph that uses it: torch refuses its handle from then on.
        pool = next((graph.pool() for graph in self.graphs), None)
        graph = torch.cuda.CUDAGraph()
        # `thread_local`: queries are prepared in other threads, which may allocate pinned memory meanwhile
        with (
            torch.cuda.device(self.device),
            _no_garbage_collection(),
            torch.cuda.graph(graph, pool, _side_stream(self.device), capture_error_mode="thread_local"),
        ):
            step()
        self.graphs.add(graph)
        return graph.replay


@lru_cache(maxsize=16)
def _side_stream(device: torch.device) -> torch.cuda.Stream:
    """Where captures on this device run: graphs that share memory must come from one stream, and torch's own default
    belongs to the device of the process's first capture."""
    return torch.cuda.Stream(device)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """An object of CUDA that happens to be freed amid a capture would end it."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
