"""The runner: drawing, batches, failures, memory, resuming."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from mpeval.errors import SampleError, UserError
from mpeval.media import Media
from mpeval.runner import Outcome, answer, query_seed, select
from mpeval.store import Row, Run
from mpeval.types import Capabilities, CountTarget, Elicitation, Point, Prediction, Query, Sample

from .plugin.fake_plugin import picture
from .test_store import manifest

PICTURE = Media.image(picture(0))
ELICITATION = Elicitation("plain", "How many {query}?")


def samples(count: int) -> list[Sample]:
    return [Sample(f"s{index}", PICTURE, f"q{index}", CountTarget(index)) for index in range(count)]


@dataclass(frozen=True)
class Ready:
    query: Query
    length: int
    nbytes: int


@dataclass
class Model:
    """Answers with the prompt and the seed; remembers its batches."""

    name: str = "model"
    capabilities: Capabilities = field(default_factory=Capabilities)
    fails: tuple[str, ...] = ()
    nbytes: int = 1
    batches: list[list[str]] = field(default_factory=list)
    prepared: list[str] = field(default_factory=list)

    def identity(self) -> dict[str, Any]:
        return {}

    def prepare(self, query: Query) -> Ready:
        self.prepared.append(query.sample_id)
        return Ready(query, query.seed % 97, self.nbytes)

    def generate(self, batch: Sequence[Any]) -> list[Prediction]:
        self.batches.append([each.query.sample_id for each in batch])
        for each in batch:
            if each.query.sample_id in self.fails:
                raise RuntimeError(f"{each.query.sample_id} is too much")
        return [Prediction(f"{each.query.prompt} {each.query.seed} {each.query.target}") for each in batch]


def run_of(tmp_path: Path, name: str = "run") -> Run:
    return Run.write(tmp_path / name, manifest())


def ask(model: Model, run: Run, count: int = 20, **options: Any) -> Outcome:
    return answer(model, select(samples(count)), ELICITATION, run, workers=3, **options)


def rows(run: Run) -> list[Row]:
    return list(run.rows())


def test_every_sample_is_answered_and_stored_with_what_scoring_needs(tmp_path: Path) -> None:
    told: list[int] = []
    with run_of(tmp_path) as run:
        assert ask(Model(), run, batch_size=8, progress=told.append) == Outcome(20, 0, False)
        found = rows(run)
    assert [row.sample_id for row in found] == [f"s{index}" for index in range(20)]
    assert found[7].prediction.text == f"How many q7? {query_seed(0, 's7')} None"
    assert found[7].prediction.seconds is not None
    assert found[7].target == CountTarget(7)
    assert (found[7].media_sha256, found[7].size) == (PICTURE.sha256, (8, 6))
    assert sum(told) == 20


def test_answers_do_not_depend_on_the_batch_size(tmp_path: Path) -> None:
    texts = []
    for size in (1, 3, 64):
        with run_of(tmp_path, f"run{size}") as run:
            ask(Model(), run, batch_size=size)
            texts.append([row.prediction.text for row in rows(run)])
    assert texts[0] == texts[1] == texts[2]


def test_batches_hold_samples_of_like_length(tmp_path: Path) -> None:
    model = Model()
    with run_of(tmp_path) as run:
        ask(model, run, count=64, batch_size=8)
    lengths = [[query_seed(0, each) % 97 for each in batch] for batch in model.batches]
    assert [len(batch) for batch in lengths] == [8] * 8
    for first, end in ((0, 2), (2, 6), (6, 8)):  # windows, of 2 batches, then 4, then what is left
        window = [length for batch in lengths[first:end] for length in batch]
        assert window == sorted(window, reverse=True)


def test_only_models_that_say_so_see_the_target(tmp_path: Path) -> None:
    with run_of(tmp_path) as run:
        ask(Model(capabilities=Capabilities(needs_target=True)), run)
        assert rows(run)[3].prediction.text.endswith("CountTarget(count=3)")


def test_one_failure_in_a_batch_is_that_sample_s_row_alone(tmp_path: Path) -> None:
    with run_of(tmp_path) as run:
        assert ask(Model(fails=("s5", "s6")), run, batch_size=20) == Outcome(18, 2, False)
        errors = {row.sample_id: row.prediction.error for row in rows(run) if row.prediction.error}
    assert errors == {"s5": "RuntimeError: s5 is too much", "s6": "RuntimeError: s6 is too much"}


def test_a_picture_that_is_none_and_a_query_that_cannot_be_prepared_are_rows(tmp_path: Path) -> None:
    class Picky(Model):
        def prepare(self, query: Query) -> Ready:
            if query.sample_id == "s1":
                raise SampleError("the picture is too small")
            return super().prepare(query)

    spoilt = [
        Sample("s0", Media.image(b"no picture"), "q", CountTarget(0)),
        *samples(3)[1:],
        Sample("s3", Media.image(tmp_path / "absent.png"), "q", CountTarget(0)),
    ]
    with run_of(tmp_path) as run:
        assert answer(Picky(), select(spoilt), ELICITATION, run) == Outcome(1, 3, False)
        found = rows(run)
    assert [row.size for row in found] == [None, (8, 6), (8, 6), None]
    assert found[0].prediction.error == "10 bytes is not a picture that can be read"
    assert found[1].prediction.error == "the picture is too small"
    assert found[2].prediction.error is None
    assert "absent.png" in (found[3].prediction.error or "")


def test_a_point_that_is_no_number_is_that_sample_s_failure(tmp_path: Path) -> None:
    class Lost(Model):
        def generate(self, batch: Sequence[Any]) -> list[Prediction]:
            return [
                Prediction("here", (Point(float("nan") if each.query.sample_id == "s2" else 1.0, 2.0),))
                for each in batch
            ]

    with run_of(tmp_path) as run:
        assert ask(Lost(), run, 4).failed == 1
        errors = {row.sample_id: row.prediction.error for row in rows(run)}
    assert errors == {"s0": None, "s1": None, "s2": "a point that is no number: here", "s3": None}


def test_half_a_surrogate_pair_in_an_answer_does_not_stop_the_run(tmp_path: Path) -> None:
    """A server that cuts an emoji in two spells it as JSON may: "\\ud83d"."""

    class Cut(Model):
        def generate(self, batch: Sequence[Any]) -> list[Prediction]:
            return [Prediction("cut \ud83d", error="so \udc80") for _ in batch]

    with run_of(tmp_path) as run:
        assert ask(Cut(), run, 1).failed == 1
        (row,) = rows(run)
    assert (row.prediction.text, row.prediction.error) == ("cut ?", "so ?")


def test_too_few_answers_are_a_failure(tmp_path: Path) -> None:
    class Short(Model):
        def generate(self, batch: Sequence[Any]) -> list[Prediction]:
            return super().generate(batch)[:1]

    with run_of(tmp_path) as run:
        assert ask(Short(), run, batch_size=4) == Outcome(20, 0, False)  # alone, each gets its one answer


def test_a_user_s_mistake_stops_the_run(tmp_path: Path) -> None:
    class Wrong(Model):
        def prepare(self, query: Query) -> Ready:
            raise UserError("the file is not there")

    with run_of(tmp_path) as run, pytest.raises(UserError, match="the file is not there"):
        ask(Wrong(), run)


def test_resuming_asks_for_what_is_missing_or_failed(tmp_path: Path) -> None:
    with run_of(tmp_path) as run:
        ask(Model(fails=("s2",)), run, count=5)
    model = Model()
    with run_of(tmp_path) as run:
        assert ask(model, run, count=8) == Outcome(4, 0, False)
        assert [row.sample_id for row in rows(run)] == [f"s{index}" for index in range(8)]
    assert sorted(model.prepared) == ["s2", "s5", "s6", "s7"]


@pytest.mark.parametrize("allowed", [0, 250, 10_000])
def test_prepared_samples_are_bounded_in_bytes(tmp_path: Path, allowed: int) -> None:
    """Three workers may each begin one before the first size is known."""
    lock = threading.Lock()
    most = 0

    class Watched(Model):
        def generate(self, batch: Sequence[Any]) -> list[Prediction]:
            nonlocal most
            time.sleep(0.005)  # time for the pool to run ahead
            with lock:
                generated = sum(map(len, self.batches))
                most = max(most, len(self.prepared) - generated)
            return super().generate(batch)

    with run_of(tmp_path) as run:
        outcome = ask(Watched(nbytes=100), run, count=60, batch_size=2, prefetch_bytes=allowed)
    assert outcome.answered == 60
    assert most <= max(3, allowed // 100)
    if allowed == 10_000:
        assert most > 3


def test_preparing_overlaps_generating(tmp_path: Path) -> None:
    """While the first batch is generated, samples of the next windows get prepared."""
    seen_ahead = threading.Event()

    class Slow(Model):
        def prepare(self, query: Query) -> Ready:
            if query.sample_id == "s39":
                seen_ahead.set()
            return super().prepare(query)

        def generate(self, batch: Sequence[Any]) -> list[Prediction]:
            assert seen_ahead.wait(5)
            return super().generate(batch)

    with run_of(tmp_path) as run:
        assert ask(Slow(), run, count=40, batch_size=4) == Outcome(40, 0, False)


def test_room_that_a_batch_leaves_is_used_while_the_next_is_generated(tmp_path: Path) -> None:
    """Memory for 8 samples, windows of 16: the pool must not idle until the window is done."""

    class Watched(Model):
        def generate(self, batch: Sequence[Any]) -> list[Prediction]:
            generated = sum(map(len, self.batches))
            until = time.monotonic() + 5
            while len(self.prepared) < min(generated + 3, 40):  # besides the batch of 2 at work
                assert time.monotonic() < until
                time.sleep(0.001)
            return super().generate(batch)

    with run_of(tmp_path) as run:
        outcome = ask(Watched(nbytes=100), run, count=40, batch_size=2, prefetch_bytes=800)
    assert outcome == Outcome(40, 0, False)


# --- models that stream ---------------------------------------------------------------------------


@dataclass
class Streaming(Model):
    """Takes queries one by one and answers the second oldest first; fails where a query in `fails` is at work."""

    most_at_work: int = 0
    streams: int = 0
    at_once: int | None = 4

    def stream(self, prepared: Iterable[Any], at_once: int | None) -> Iterator[tuple[int, Prediction]]:
        self.streams += 1
        source, at_work = enumerate(prepared), deque[tuple[int, Any]]()
        while True:
            at_work += islice(source, (at_once or 3) - len(at_work))
            if not at_work:
                return
            self.most_at_work = max(self.most_at_work, len(at_work))
            if any(each.query.sample_id in self.fails for _, each in at_work):
                raise RuntimeError("out of memory")
            at_work.rotate(-1 if len(at_work) > 1 else 0)
            index, each = at_work.popleft()
            yield index, Prediction(f"{each.query.prompt} {each.query.seed} {each.query.target}")


def test_a_model_that_streams_answers_each_sample_its_own(tmp_path: Path) -> None:
    with run_of(tmp_path, "batches") as run:
        ask(Model(), run, count=50)
        expected = [row.prediction.text for row in rows(run)]
    for size in (None, 1, 4, 64):
        model, told = Streaming(), list[int]()
        with run_of(tmp_path, f"run{size}") as run:
            assert ask(model, run, count=50, batch_size=size, progress=told.append) == Outcome(50, 0, False)
            assert [row.prediction.text for row in rows(run)] == expected
        assert (model.batches, model.streams - 1, sum(told)) == ([], 1, 50)
        assert model.most_at_work == min(size or 3, 50)


def test_where_a_stream_fails_those_at_work_are_asked_again(tmp_path: Path) -> None:
    model = Streaming(fails=("s5", "s30"))
    with run_of(tmp_path) as run:
        assert ask(model, run, count=40, batch_size=4) == Outcome(38, 2, False)
        found = rows(run)
    assert [row.sample_id for row in found] == [f"s{index}" for index in range(40)]
    assert {row.sample_id: row.prediction.error for row in found if row.prediction.error} == {
        "s5": "RuntimeError: s5 is too much",
        "s30": "RuntimeError: s30 is too much",
    }
    assert sum(len(batch) for batch in model.batches if len(batch) == 4) <= 8, "only those at work are asked again"


def test_a_stream_that_never_asks_loses_nothing(tmp_path: Path) -> None:
    class Broken(Streaming):
        def stream(self, prepared: Iterable[Any], at_once: int | None) -> Iterator[tuple[int, Prediction]]:
            raise RuntimeError("no stream today")

    with run_of(tmp_path) as run:
        assert ask(Broken(), run, count=9, batch_size=4) == Outcome(9, 0, False)


def test_a_stream_that_keeps_an_answer_back_loses_nothing(tmp_path: Path) -> None:
    class Forgetful(Streaming):
        def stream(self, prepared: Iterable[Any], at_once: int | None) -> Iterator[tuple[int, Prediction]]:
            return (each for each in super().stream(prepared, at_once) if each[0] != 3)

    with run_of(tmp_path) as run:
        assert ask(Forgetful(), run, count=9, batch_size=2) == Outcome(9, 0, False)
        assert all(row.prediction.text for row in rows(run))


@pytest.mark.parametrize("times", [1, 2])
def test_memory_that_ends_while_preparing(times: int, tmp_path: Path) -> None:
    """Other threads hold their pictures at the same time: tried once more, and then it is the sample's failure."""

    class Greedy(Model):
        def prepare(self, query: Query) -> Ready:
            ready = super().prepare(query)
            if query.sample_id in ("s3", "s4") and self.prepared.count(query.sample_id) <= times:
                raise MemoryError
            return ready

    model = Greedy()
    with run_of(tmp_path) as run:
        assert ask(model, run) == Outcome(20 if times == 1 else 18, 0 if times == 1 else 2, False)
        errors = {row.sample_id: row.prediction.error for row in rows(run) if row.prediction.error}
    assert Counter(model.prepared) == Counter(f"s{index}" for index in range(20)) + Counter(["s3", "s4"])
    said = "memory ended while this was prepared (MemoryError)"
    assert errors == ({} if times == 1 else {"s3": said, "s4": said})


def test_samples_that_cannot_be_prepared_are_rows_beside_a_stream(tmp_path: Path) -> None:
    class Picky(Streaming):
        def prepare(self, query: Query) -> Ready:
            if query.sample_id in ("s0", "s7"):
                raise SampleError("the picture is too small")
            return super().prepare(query)

    with run_of(tmp_path) as run:
        assert ask(Picky(), run, count=8, batch_size=3) == Outcome(6, 2, False)


@pytest.mark.parametrize("allowed", [0, 250, 10_000])
def test_a_stream_is_bounded_in_bytes_and_ends_all_the_same(tmp_path: Path, allowed: int) -> None:
    """What is at work holds memory too: where it fills what is allowed, the stream ends and another one begins."""
    most = 0

    class Watched(Streaming):
        def stream(self, prepared: Iterable[Any], at_once: int | None) -> Iterator[tuple[int, Prediction]]:
            nonlocal most
            for each in super().stream(prepared, at_once):
                most = max(most, len(self.prepared) - len(done))
                done.append(each[0])
                yield each

    done: list[int] = []
    with run_of(tmp_path) as run:
        outcome = ask(Watched(nbytes=100), run, count=60, batch_size=4, prefetch_bytes=allowed)
    assert outcome == Outcome(60, 0, False)
    assert most <= max(3, allowed // 100)


def test_ctrl_c_ends_a_stream_behind_those_at_work(tmp_path: Path) -> None:
    def interrupt(stored: int) -> None:
        signal.raise_signal(signal.SIGINT)

    with run_of(tmp_path) as run:
        outcome = ask(Streaming(), run, count=60, batch_size=4, progress=_once(interrupt))
        assert outcome.interrupted and 4 <= outcome.answered <= 12
        assert len(rows(run)) == outcome.answered
    with run_of(tmp_path) as run:
        assert ask(Streaming(), run, count=60, batch_size=4) == Outcome(60 - outcome.answered, 0, False)
        assert [row.sample_id for row in rows(run)] == [f"s{index}" for index in range(60)]


def _once(call: Callable[[int], None]) -> Callable[[int], None]:
    calls = iter([call])
    return lambda stored: next(calls, lambda stored: None)(stored)


def test_queries_on_one_picture_stand_together(tmp_path: Path) -> None:
    pictures = [Media.image(picture(index)) for index in range(3)]
    mingled = [Sample(f"s{index}", pictures[index % 3], f"q{index}", CountTarget(0)) for index in range(30)]
    model = Model()
    with run_of(tmp_path) as run:
        answer(model, select(mingled), ELICITATION, run, batch_size=10)
    assert [len({int(each[1:]) % 3 for each in batch}) for batch in model.batches] == [1, 1, 1]


def test_queries_on_one_picture_are_prepared_next_to_each_other(tmp_path: Path) -> None:
    """Wherever they stand in the dataset: what is prepared for one of them is still there for the others."""
    pictures = [Media.image(picture(index)) for index in range(3)]
    mingled = [Sample(f"s{index}", pictures[index % 3], f"q{index}", CountTarget(0)) for index in range(9)]
    model = Model()
    with run_of(tmp_path) as run:
        answer(model, select(mingled), ELICITATION, run, workers=1)
        assert [row.sample_id for row in rows(run)] == [f"s{index}" for index in range(9)]
    assert model.prepared == [f"s{index}" for index in (0, 3, 6, 1, 4, 7, 2, 5, 8)]


# --- drawing --------------------------------------------------------------------------------------


def sliced(counts: dict[str, int]) -> list[Sample]:
    kinds = [kind for kind, count in counts.items() for _ in range(count)]
    return [Sample(f"s{i}", PICTURE, "q", CountTarget(0), {"kind": kind}) for i, kind in enumerate(kinds)]


def test_a_draw_keeps_the_slices_shares_and_the_published_order() -> None:
    drawn = select(sliced({"a": 60, "b": 30, "c": 10}), limit=10, seed=3)
    assert [position for position, _ in drawn] == sorted(position for position, _ in drawn)
    counts = Counter(sample.slices["kind"] for _, sample in drawn)
    for kind, share in {"a": 6, "b": 3, "c": 1}.items():
        assert abs(counts[kind] - share) <= 1


def test_draws_are_nested_repeatable_and_differ_by_seed() -> None:
    everything = sliced({"a": 50, "b": 50})
    four, eight = ({p for p, _ in select(everything, limit)} for limit in (4, 8))
    assert four < eight
    assert select(everything, 8) == select(everything, 8)
    assert select(everything, 8, seed=1) != select(everything, 8, seed=0)
    assert select(everything, 1000) == select(everything)


def test_a_draw_smaller_than_the_number_of_strata_favours_none() -> None:
    everything = sliced({f"kind{index}": 3 for index in range(10)})
    drawn = Counter(
        sample.slices["kind"] for seed in range(200) for _, sample in select(everything, limit=3, seed=seed)
    )
    assert len(drawn) == 10
    assert max(drawn.values()) < 2 * min(drawn.values())


def test_an_id_used_twice_is_refused() -> None:
    with pytest.raises(UserError, match="sample id 's0' is used twice"):
        select([*samples(1), *samples(1)])


def test_seeds_differ_by_sample_and_run() -> None:
    assert query_seed(0, "a") == query_seed(0, "a")
    assert len({query_seed(0, "a"), query_seed(0, "b"), query_seed(1, "a")}) == 3
