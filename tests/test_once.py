"""Values that many threads want: made once, kept while anybody holds them, failures shared and forgotten."""

from __future__ import annotations

import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mpeval.errors import SampleError
from mpeval.once import Once


class Value:
    def __init__(self, nbytes: int = 10) -> None:
        self.nbytes = nbytes


def test_threads_that_want_the_same_wait_for_the_one_that_makes_it() -> None:
    once: Once[Value] = Once(0)
    made: list[Value] = []
    together = threading.Barrier(8)

    def make() -> Value:
        time.sleep(0.05)
        made.append(Value())
        return made[-1]

    def ask(_: int) -> Value:
        together.wait()
        return once.get("a", make)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(8)))
    assert len(made) == 1 and all(each is made[0] for each in found)


def test_what_nobody_holds_is_made_again_but_for_those_used_last() -> None:
    once, made = Once[Value](20), list[str]()

    def ask(key: str) -> Value:
        def make() -> Value:
            made.append(key)
            return Value()

        return once.get(key, make)

    for key in "abca":  # room for two: c pushed a out
        ask(key)
        gc.collect()
    assert "".join(made) == "abca"
    held = ask("b")  # pushed out by the second a, and held from now on
    for key in "cdb":
        ask(key)
    assert "".join(made) == "abcabcd" and ask("b") is held


def test_one_larger_than_all_that_is_kept_lives_while_it_is_held() -> None:
    once: Once[Value] = Once(5)
    held = once.get("a", Value)
    assert once.get("a", Value) is held
    del held
    gc.collect()
    other = once.get("b", Value)
    assert once.get("b", Value) is other


def test_a_failure_reaches_all_who_wait_and_the_next_one_tries_again() -> None:
    once: Once[Value] = Once(100)
    begun, go_on = threading.Event(), threading.Event()
    attempts: list[int] = []

    def fail() -> Value:
        attempts.append(1)
        begun.set()
        go_on.wait(5)
        raise SampleError("no picture")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(once.get, "a", fail)
        begun.wait(5)
        second = pool.submit(once.get, "a", fail)
        time.sleep(0.02)
        go_on.set()
        for future in (first, second):
            with pytest.raises(SampleError, match="no picture"):
                future.result()
    assert len(attempts) <= 2
    assert isinstance(once.get("a", Value), Value)
