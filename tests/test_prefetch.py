"""Preparing ahead: in order, within the bytes allowed, media counted once, no thread left behind."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpeval.batches import Ready
from mpeval.errors import UserError
from mpeval.media import Media
from mpeval.prefetch import Positioned, Prefetch, side_by_side
from mpeval.store import Row
from mpeval.types import CountTarget, Footprint, Prediction, Sample

NEVER = threading.Event()


class Thing:
    def __init__(self, nbytes: int) -> None:
        self.length, self.nbytes = 1, nbytes


def positioned(count: int) -> list[Positioned]:
    media = Media.image(b"")
    return [(index, Sample(str(index), media, "q", CountTarget(0))) for index in range(count)]


def ready(each: Positioned, nbytes: int) -> Ready:
    row = Row(each[1].id, each[0], None, None, "q", CountTarget(0), {}, Prediction())
    return Ready(row, Thing(nbytes))


def threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("prepare-")]


def take_all(ahead: Prefetch, most: int = 4, held: int = 3) -> tuple[list[int], list[int]]:
    """Positions in the order taken, and the windows' sizes; up to `held` queries are at work at a time."""
    order: list[int] = []
    windows: list[int] = []
    at_work: list[Ready] = []
    while (window := ahead.take(most, NEVER)) or at_work:
        if window:
            windows.append(len(window))
            order += [each.row.position for each in window]
            at_work += window
        while len(at_work) > (held if window else 0):
            ahead.release([at_work.pop(0)])
    return order, windows


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=40),
    st.integers(0, 40),
    st.integers(1, 5),
)
def test_bytes_never_pass_the_bound_and_order_is_kept(
    queries: list[tuple[int, int]], most_bytes: int, workers: int
) -> None:
    """Each query: which media (0: none that others share), and bytes of its own."""
    lock = threading.Lock()
    alive: dict[int, int] = {}
    media_bytes = {number: 3 * number + 2 for number in range(5)}
    most_seen = 0

    def footprint(each: Positioned) -> Footprint:
        media, own = queries[each[0]]
        return Footprint(str(media) if media else None, media_bytes[media] if media else 0, own)

    def held() -> int:
        media = {queries[index][0] for index in alive} - {0}
        return sum(media_bytes[each] for each in media) + sum(queries[index][1] for index in alive)

    def prepare(each: Positioned) -> Ready:
        nonlocal most_seen
        with lock:
            alive[each[0]] = 1
            most_seen = max(most_seen, held())
        time.sleep(0.0002 * random.random())
        return ready(each, 0)

    class Watched(Prefetch):
        def release(self, batch):
            with lock:
                for each in batch:
                    del alive[each.row.position]
            super().release(batch)

    with Watched(footprint, prepare, positioned(len(queries)), workers, most_bytes) as ahead:
        order, _ = take_all(ahead)
        assert ahead.held_bytes == 0
    largest = max((media_bytes[media] if media else 0) + own for media, own in queries)
    assert order == list(range(len(queries)))
    assert most_seen <= max(most_bytes, largest), "a query larger than the bound goes alone"
    assert not threads()


def test_media_count_once_while_any_query_holds_them() -> None:
    def footprint(each: Positioned) -> Footprint:
        return Footprint("a" if each[0] < 64 else "b", 100, 1)

    with Prefetch(footprint, lambda each: ready(each, 0), positioned(66), 3, 170) as ahead:
        first = ahead.take(66, NEVER)
        assert [each.row.position for each in first] == list(range(64)), "the other picture does not fit beside it"
        assert ahead.held_bytes == 100 + 64
        ahead.release(first[:-1])
        assert ahead.take(66, NEVER) == [] and ahead.held_bytes == 101
        ahead.release(first[-1:])
        assert len(ahead.take(66, NEVER)) == 2 and ahead.held_bytes == 102


def test_windows_do_not_depend_on_how_fast_queries_are_prepared() -> None:
    sizes = [random.Random(1).randint(1, 30) for _ in range(60)]

    def run(slow: Callable[[int], float], workers: int) -> tuple[list[int], list[int]]:
        def prepare(each: Positioned) -> Ready:
            time.sleep(slow(each[0]))
            return ready(each, sizes[each[0]])

        with Prefetch(lambda each: Footprint(None, 0, sizes[each[0]]), prepare, positioned(60), workers, 70) as ahead:
            return take_all(ahead, most=8)

    even, odd = run(lambda index: 0.002 * (index % 2), 4), run(lambda index: 0.002 * (index % 3 == 0), 2)
    assert even == odd
    assert len(set(even[1])) > 1, "memory must end somewhere"


def test_what_is_not_known_beforehand_is_taken_to_be_as_large_as_the_largest() -> None:
    most = 0

    def prepare(each: Positioned) -> Ready:
        nonlocal most
        time.sleep(0.001)
        most = max(most, ahead.held_bytes)
        return ready(each, 10)

    ahead = Prefetch(lambda each: None, prepare, positioned(40), 3, 50)
    with ahead:
        order, _ = take_all(ahead)
    assert order == list(range(40)) and most <= 50


def test_many_small_queries_are_not_bounded_by_a_count_of_windows() -> None:
    prepared = threading.Semaphore(0)

    def prepare(each: Positioned) -> Ready:
        prepared.release()
        return ready(each, 1)

    with Prefetch(lambda each: Footprint(None, 0, 1), prepare, positioned(500), 2, 1000) as ahead:
        ahead.take(1, NEVER)
        for _ in range(500):
            assert prepared.acquire(timeout=5), "all fit into the bytes allowed: all are prepared"


def test_a_user_s_mistake_is_raised_where_its_query_would_come() -> None:
    def prepare(each: Positioned) -> Ready:
        if each[0] == 5:
            raise UserError("the key is missing")
        return ready(each, 1)

    with Prefetch(lambda each: None, prepare, positioned(20), 3, 100) as ahead:
        assert [each.row.position for each in ahead.take(5, NEVER)] == [0, 1, 2, 3, 4]
        with pytest.raises(UserError, match="the key is missing"):
            ahead.take(5, NEVER)
    assert not threads()


def test_what_cannot_be_measured_is_left_for_preparing_to_report() -> None:
    def measure(each: Positioned) -> Footprint:
        raise OSError("a header cut short")

    with Prefetch(measure, lambda each: ready(each, 1), positioned(3), 2, 100) as ahead:
        assert len(ahead.take(8, NEVER)) == 3


def test_a_stop_ends_waiting_and_threads_end_with_the_block() -> None:
    stop, go_on = threading.Event(), threading.Event()

    def prepare(each: Positioned) -> Ready:
        go_on.wait(5)
        return ready(each, 1)

    with Prefetch(lambda each: None, prepare, positioned(50), 3, 100) as ahead:
        timer = threading.Timer(0.05, stop.set)
        timer.start()
        begun = time.monotonic()
        assert ahead.take(10, stop) == []
        assert time.monotonic() - begun < 2
        go_on.set()
    assert not threads()


def test_a_keyboard_interrupt_while_waiting_leaves_no_thread() -> None:
    def prepare(each: Positioned) -> Ready:
        time.sleep(0.01)
        if each[0] == 3:
            signal.raise_signal(signal.SIGINT)
        return ready(each, 1)

    def run() -> None:
        with Prefetch(lambda each: None, prepare, positioned(500), 2, 100) as ahead:
            while window := ahead.take(4, NEVER):
                ahead.release(window)

    with pytest.raises(KeyboardInterrupt):
        run()
    assert not threads()


def test_queries_on_the_same_files_stand_side_by_side() -> None:
    files = [Media.image(Path(f"{index % 3}.png")) for index in range(9)]
    samples = [(index, Sample(str(index), media, "q", CountTarget(0))) for index, media in enumerate(files)]
    assert [index for index, _ in side_by_side(samples)] == [0, 3, 6, 1, 4, 7, 2, 5, 8]
