"""Greedy decoding with continuous batching: when a sample is done, the next one takes its place at once.

All samples at work take a step together. New ones are prefilled (`prefill.py`) while the others wait, and join at the
next step. A sample's answer does not depend on what is beside it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice

import torch
from torch import Tensor

from mpeval.engine.capture import CapturedSteps
from mpeval.engine.decoding import (
    Decoding,
    GenerationInput,
    advance,
    apart,
    constraints_for,
    feed,
    front,
    front_rows,
    put,
    take,
    write,
)
from mpeval.engine.memory import is_out_of_memory, release_memory
from mpeval.engine.model import NO_MORE_POINTS, VisionLanguageModel
from mpeval.engine.prefill import admit, choose_slots, prefill
from mpeval.grounding.constraints import Choice, HfConstraints, PointerState, StepScores
from mpeval.grounding.forced_text import Script

__all__ = ["Generation", "GenerationInput", "constraints_for", "feed", "generate", "generate_stream", "prefill"]

STUCK = "the released hf program stops here: an image token was chosen again whose last patch is taken"
STEPS_BETWEEN_LOOKS = {"cpu": 1}
"""Steps until the host asks which samples are done; elsewhere `LOOK_RARELY`, since asking waits for the device."""
LOOK_RARELY = 8


@dataclass(frozen=True)
class Generation:
    """What one sample's decoding gave."""

    ids: list[int]
    """Generated ids without the end of text; PATCH, SUBPATCH and LOCATION as their special tokens."""
    choices: list[int]
    """Beside each id: the image token, patch or ninth it selected, NO_MORE_POINTS, or -1."""
    error: str | None = None
    seconds: float = field(default=0.0, compare=False)
    """Wall time, each moment shared evenly among the samples at work: those of a run add up to its time."""

    @property
    def triples(self) -> list[tuple[int, int, int]]:
        """(image token, patch, ninth) of each finished point."""
        flat = [c for c in self.choices if c not in (-1, NO_MORE_POINTS)]
        return [(flat[i], flat[i + 1], flat[i + 2]) for i in range(0, len(flat) - 2, 3)]


@dataclass(frozen=True)
class Rules:
    """How samples are decoded, the same for all."""

    max_new_tokens: int
    stop_ids: Sequence[int]
    forced_ids: Sequence[int] = ()
    """The answer's first tokens (a forced single point: PATCH, SUBPATCH, LOCATION and what is written around them, the
    second PATCH being no-more-points)."""
    script: Script | None = None
    """What a model without grounding tokens may write (a forced single point in text)."""


def generate(
    model: VisionLanguageModel,
    batch: Sequence[GenerationInput],
    max_new_tokens: int,
    stop_ids: Sequence[int],
    forced_ids: Sequence[int] = (),
    script: Script | None = None,
) -> list[Generation]:
    """Decode greedily until a stop id or `max_new_tokens`; one `Generation` a sample, in order.

    All samples of the batch are decoded together; `generate_stream` takes any number of them.
    """
    rules = Rules(max_new_tokens, stop_ids, forced_ids, script)
    done = dict(generate_stream(model, batch, len(batch), rules))
    return [done[index] for index in range(len(batch))]


def generate_stream(
    model: VisionLanguageModel, samples: Iterable[GenerationInput], slots: int, rules: Rules
) -> Iterator[tuple[int, Generation]]:
    """Decode samples, `slots` of them at a time; yields each one's index and answer as soon as it is done.

    Samples are taken from the iterator when there is room for them. Where memory ends, those at work are begun again in
    half the slots; the error is raised where a single sample does not fit.
    """
    source: Iterator[tuple[int, GenerationInput]] = enumerate(samples)
    while True:
        stream = _Stream(model, slots, rules)
        try:
            yield from stream.run(source)
            return
        except Exception as error:
            if slots == 1 or not is_out_of_memory(error):
                raise
        # Outside of the handler: the exception holds the tensors of the failed step.
        source = chain(stream.at_work.items(), source)
        slots //= 2
        del stream
        release_memory(model.device)


class _Stream:
    """One pass over samples with a fixed number of slots."""

    def __init__(self, model: VisionLanguageModel, slots: int, rules: Rules) -> None:
        self.model, self.slots, self.rules = model, slots, rules
        self.constraints = constraints_for(model)
        if rules.script is not None and self.constraints is not None:
            raise ValueError("a script is for models that write coordinates as text")
        self.script = rules.script and rules.script.to(model.device)
        self.stops = torch.tensor(list(rules.stop_ids), dtype=torch.long, device=model.device)
        forced = [*rules.forced_ids, *[-1] * rules.max_new_tokens][: rules.max_new_tokens + 1]
        self.forced = torch.tensor(forced, device=model.device) if rules.forced_ids else None
        self.at_work: dict[int, GenerationInput] = {}
        """Samples that were taken and not answered."""
        self.clock = _Clock()
        self.table: _Table | None = None
        self.steps = CapturedSteps(model.device)
        self.look = model.device.type == "cpu" and self.forced is None
        """Ask before each step whether anything can point next (`advance`)."""

    def run(self, source: Iterator[tuple[int, GenerationInput]]) -> Iterator[tuple[int, Generation]]:
        """Everything that `source` holds, by index, in the order in which it is done."""
        steps = STEPS_BETWEEN_LOOKS.get(self.model.device.type, LOOK_RARELY)
        more = True
        while True:
            free = self.slots - len(self.at_work)
            if free and more:
                newcomers = list(islice(source, free))
                more = len(newcomers) == free
                self.at_work.update(newcomers)
                self.clock.go_on()
                if newcomers:
                    self._admit(newcomers, self.slots if more else len(newcomers))
            if not self.at_work:
                return
            assert self.table is not None
            answers = self._answers(self.table)
            yield from answers
            self.clock.go_on()
            if answers and (more or not self.at_work):
                continue
            if not more:
                self.table.close_gaps()
            for _ in range(steps):
                self._step(self.table)

    @torch.inference_mode()
    def _admit(self, newcomers: Sequence[tuple[int, GenerationInput]], slots: int) -> None:
        """Prefill samples into free slots and choose their first tokens."""
        samples = [sample for _, sample in newcomers]
        longest = max(len(sample.ids) for sample in samples)
        if self.table is None:
            decoding = Decoding(self.model, slots, longest + self.rules.max_new_tokens)
            self.table = _Table(decoding, self.rules.max_new_tokens)
        table, decoding = self.table, self.table.decoding
        self.clock.begin(index for index, _ in newcomers)
        places = choose_slots(decoding, samples)
        hidden = admit(decoding, places, samples, self.rules.max_new_tokens)
        rows = torch.tensor(places, device=self.model.device)
        for slot, (index, _) in zip(places, newcomers, strict=True):
            table.owners[slot] = index
        state = replace(take(decoding.state, rows), started=False)
        place = torch.zeros_like(rows)
        forced = None if self.forced is None else self.forced[place]
        choice = self._choose(state, StepScores(self.model.logits(hidden)), place, forced)
        table.begin(rows, choice, place, self.stops)
        self.clock.tick(len(self.at_work))

    @torch.inference_mode()
    def _step(self, table: _Table) -> None:
        """Feed the last tokens of all samples and choose the next ones."""
        decoding = table.decoding
        span = decoding.span
        self.steps.run((decoding.slots, span), decoding.held, lambda: self._advance(table, span))
        decoding.fed()
        self.clock.tick(len(self.at_work))

    def _advance(self, table: _Table, span: int) -> None:
        """A step as the device sees it: from the tables' tensors to the same tensors, and nothing through the host."""
        decoding = table.decoding
        advance(self.model, decoding, table.pending, self.constraints, span, self.look)
        if isinstance(self.constraints, HfConstraints) and decoding.scores.patch is not None:
            stuck = self.constraints.stuck(decoding.state) & decoding.alive
            table.stuck |= stuck
            decoding.alive &= ~stuck
        if decoding.scores.words is not None:
            table.note_words(decoding.scores.words, self.stops)
            return
        forced = None if self.forced is None else self.forced[table.written]
        table.note(self._choose(decoding.state, decoding.scores, table.place, forced), self.stops)

    def _choose(self, state: PointerState, scores: StepScores, place: Tensor, forced: Tensor | None) -> Choice:
        """The next token of each sample. place: where each is in the script, which moves on."""
        if self.constraints is not None:
            return self.constraints.choose(state, scores, forced)
        if self.script is not None:
            token, following = self.script.choose(scores.tokens, place)
            place.copy_(following)
        else:
            token = scores.tokens.argmax(-1)
            if forced is not None:
                token = torch.where(forced >= 0, forced, token)
        none = torch.full_like(token, -1)
        return Choice(token, none, none, none)

    def _answers(self, table: _Table) -> list[tuple[int, Generation]]:
        """Take the answers that are done out of their slots."""
        answers = []
        for slot, alive in enumerate(table.decoding.alive.tolist()):
            index = table.owners[slot]
            if index is not None and not alive:
                del self.at_work[index]
                answers.append((index, table.take(slot, set(self.rules.stop_ids), self.clock.end(index))))
        return answers


class _Table:
    """What the samples at work have said so far, kept on the device and written in place."""

    def __init__(self, decoding: Decoding, max_new_tokens: int) -> None:
        slots, device = decoding.slots, decoding.model.device
        self.decoding = decoding
        self.owners: list[int | None] = [None] * slots
        """The sample in each slot."""
        # One column more than is ever read: what a sample says when it is done already.
        self.ids = torch.zeros(slots, max_new_tokens + 1, dtype=torch.long, device=device)
        self.choices = torch.full_like(self.ids, -1)
        self.written = torch.zeros(slots, dtype=torch.long, device=device)
        self.place = torch.zeros_like(self.written)
        """Where in the script each sample is."""
        self.stuck = torch.zeros_like(self.written, dtype=torch.bool)
        none = torch.full_like(self.written, -1)
        self.pending = apart(Choice(none, none, none, none))
        """Chosen, not yet fed. What a word selects may be left over from an earlier token: nobody reads it."""

    def begin(self, rows: Tensor, choice: Choice, place: Tensor, stops: Tensor) -> None:
        """Write down the first tokens of new samples, in the slots `rows`."""
        self.choices[rows] = -1
        self.ids[rows, 0], self.choices[rows, 0] = choice.token, _selected(choice)
        self.written[rows], self.place[rows], self.stuck[rows] = 1, place, False
        put(self.pending, rows, choice)
        self.decoding.alive[rows] = ~self._ends(choice.token, torch.ones_like(rows), stops)

    def note(self, choice: Choice, stops: Tensor) -> None:
        """Write down the next token of every slot, and which of them end an answer."""
        self.choices.scatter_(1, self.written[:, None], _selected(choice)[:, None])
        write(self.pending, choice)
        self._say(choice.token, stops)

    def note_words(self, token: Tensor, stops: Tensor) -> None:
        """`note` where no slot's token points: their `choices` are -1 already."""
        self.pending.token.copy_(token)
        self._say(token, stops)

    def _say(self, token: Tensor, stops: Tensor) -> None:
        alive = self.decoding.alive
        self.ids.scatter_(1, self.written[:, None], token[:, None])
        self.written += alive
        alive &= ~self._ends(token, self.written, stops)

    def _ends(self, token: Tensor, written: Tensor, stops: Tensor) -> Tensor:
        full = written == self.ids.shape[1] - 1
        return full | (token[:, None] == stops).any(-1) if len(stops) else full

    def take(self, slot: int, stops: set[int], seconds: float) -> Generation:
        """The answer in a slot, which is free from now on."""
        count = int(self.written[slot])
        ids, choices = self.ids[slot, :count].tolist(), self.choices[slot, :count].tolist()
        if ids and ids[-1] in stops:
            ids, choices = ids[:-1], choices[:-1]
        self.owners[slot] = None
        self.decoding.release(slot)
        return Generation(ids, choices, STUCK if bool(self.stuck[slot]) else None, seconds)

    @torch.inference_mode()
    def close_gaps(self) -> None:
        """Go on with half of the slots, as often as the samples at work fit into half and no others come."""
        busy = [slot for slot, owner in enumerate(self.owners) if owner is not None]
        count = len(self.owners)
        while 2 * len(busy) <= count:
            count //= 2
        if count == len(self.owners):
            return
        free = [slot for slot in range(len(self.owners)) if slot not in busy]
        kept = sorted([*busy, *free[: count - len(busy)]])
        rows = self.decoding.keep(kept)
        self.owners = [self.owners[slot] for slot in kept]
        self.ids, self.choices, self.written, self.place, self.stuck = (
            front(table, rows) for table in (self.ids, self.choices, self.written, self.place, self.stuck)
        )
        self.pending = front_rows(self.pending, rows)


def _selected(choice: Choice) -> Tensor:
    """What each token selected: an image token, a patch or a ninth; -1 where it selects nothing."""
    return torch.maximum(torch.maximum(choice.patch, choice.subpatch), choice.location)


class _Clock:
    """Wall time, each moment shared evenly among the samples at work."""

    def __init__(self) -> None:
        self.last = time.perf_counter()
        self.share = 0.0
        """Seconds that a sample had spent which was at work from the beginning."""
        self.begun: dict[int, float] = {}

    def go_on(self) -> None:
        """Time until now was somebody else's."""
        self.last = time.perf_counter()

    def begin(self, samples: Iterable[int]) -> None:
        self.begun.update(dict.fromkeys(samples, self.share))

    def tick(self, at_work: int) -> None:
        now = time.perf_counter()
        self.share += (now - self.last) / at_work
        self.last = now

    def end(self, sample: int) -> float:
        return self.share - self.begun.pop(sample)
