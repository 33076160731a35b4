"""A decoding step on a GPU is captured as a CUDA graph and replayed: launching its kernels one by one takes longer than
they run when few samples are at work.

A graph knows addresses and sizes. So a step reads and writes tensors that stay where they are, and there is a graph for
each number of slots and each span of the cache that is read.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Hashable, Sequence

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
        if key not in self.graphs:
            try:
                self.graphs[key] = self.capture(step)
            except Exception as error:
                said = str(error).partition("\n")[0]
                logger.warning("decoding goes on without CUDA graphs, which is slower: %s", said)
                self.capture = None
                self.graphs.clear()
                step()
                return
        self.graphs[key]()

    def _forget_old(self, held: Sequence[object]) -> None:
        same = len(held) == len(self.held) and all(
            (old is None and new is None) or (old is not None and old() is new)
            for old, new in zip(self.held, held, strict=False)
        )
        if not same or len(self.graphs) >= MOST_GRAPHS:
            self.graphs.clear()
            self.seen.clear()
            self.held = [None if each is None else weakref.ref(each) for each in held]


class CudaCapture:
    """Captures on one device; all graphs share the memory of what a step makes in between."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.pool = torch.cuda.graph_pool_handle()

    def __call__(self, step: Step) -> Step:
        graph = torch.cuda.CUDAGraph()
        # `thread_local`: queries are prepared in other threads, which may allocate pinned memory meanwhile
        with torch.cuda.device(self.device), torch.cuda.graph(graph, self.pool, capture_error_mode="thread_local"):
            step()
        return graph.replay
