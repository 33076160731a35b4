"""What was measured, as it is printed and written: seconds, bytes, and bytes and operations a second."""

from __future__ import annotations

import msgspec


class Struct(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the figures: all of them None and a note where a case could not be measured."""


class Environment(Struct, frozen=True):
    """What the figures depend on."""

    command: str
    date: str
    """UTC."""
    device: str
    dtype: str
    threads: int
    """Of torch, on the host."""
    load: tuple[float, ...]
    """Load average of the last 1, 5 and 15 minutes when the measuring began; empty where the system has none."""
    system: str
    memory_bytes: int
    """Of the device, free when the measuring began."""
    versions: dict[str, str]
    commit: str | None
    """Of mpeval, where it lies in a git checkout; with `+` where files are changed."""


class Subject(Struct, frozen=True):
    """The model."""

    name: str
    parameters: int
    weight_bytes: int
    crop: int
    """Pixels along a side of a crop."""


class Limits(Struct, frozen=True):
    """What the device does at best, as measured here."""

    copy_rate: float | None = None
    """Bytes read and written a second while it copies within its own memory."""
    matmul_rate: float | None = None
    """Operations a second in a product of two square matrices of the model's type."""
    matmul_size: int | None = None
    """Rows of these."""
    note: str = ""


class Decoding(Struct, frozen=True):
    """Decoding so many samples together, prefill not counted."""

    batch: int
    context: int | None = None
    """Tokens in a sample's cache, in the middle of the answer."""
    tokens: int | None = None
    """In an answer."""
    step_seconds: float | None = None
    tokens_a_second: float | None = None
    """Of all samples together."""
    bytes_a_step: int | None = None
    """Weights of decoder and heads, once, and the samples' caches."""
    bandwidth_share: float | None = None
    """Of the rate at which the device copies."""
    gain: float | None = None
    """Tokens a second against batch 1."""
    peak_bytes: int | None = None
    repeats: int = 0
    note: str = ""


class MediaCase(Struct, frozen=True):
    """One kind of media: prefill and short answers."""

    name: str
    size: tuple[int, int]
    """Width, height in pixels."""
    crops: int | None = None
    """What the encoder sees of one sample: crops and the low-resolution view, or frames."""
    prompt_tokens: int | None = None
    answer_tokens: int | None = None
    batch: int | None = None
    """Samples at work together."""
    first_token_seconds: float | None = None
    """One sample alone, from tensors on the device to its first token."""
    prefill_operations: float | None = None
    """Multiplications and additions that one sample's prefill needs."""
    peak_share: float | None = None
    """Of the device's measured rate of matrix products, while such samples are prefilled."""
    samples_a_second: float | None = None
    """Prefill and answer, from tensors on the device."""
    peak_bytes: int | None = None
    repeats: int = 0
    note: str = ""


class Sharing(Struct, frozen=True):
    """Many questions on one screen: its media computed once, or for each."""

    questions: int
    shared_seconds: float | None = None
    apart_seconds: float | None = None
    note: str = ""


class ScreenRun(Struct, frozen=True):
    """A whole run from encoded pictures to stored rows, against the same tensors lying on the device."""

    screens: int
    threads: int | None = None
    """That prepare."""
    prepared_a_second: float | None = None
    """Screens decoded, tiled and tokenised a second on these threads, while the device is idle."""
    prepared_on_one_thread: float | None = None
    """The same on a single thread."""
    device_seconds: float | None = None
    run_seconds: float | None = None
    ratio: float | None = None
    peak_host_bytes: int | None = None
    note: str = ""


class Goal(Struct, frozen=True):
    name: str
    wanted: str
    measured: str
    """Empty where it could not be measured."""
    held: bool | None
    """None: not measured, or on less than the goal asks for."""


class Report(Struct, frozen=True):
    """Everything of one call of `mpeval bench`."""

    environment: Environment
    model: Subject
    limits: Limits
    decoding: list[Decoding]
    media: list[MediaCase]
    sharing: Sharing | None
    run: ScreenRun | None
    seconds: float
    """The whole measuring took."""
    goals: list[Goal]
