"""What an accelerator should reach with a model of 8 billion parameters."""

from __future__ import annotations

from collections.abc import Sequence

from mpeval.bench.results import Decoding, Goal, MediaCase, ScreenRun

BANDWIDTH = 0.70
GAIN = 15.0
GAIN_BATCH, GAIN_TOKENS = 32, 200
PEAK = 0.50
RATIO, SCREENS = 1.1, 500


def goals_of(decoding: Sequence[Decoding], media: Sequence[MediaCase], run: ScreenRun | None) -> list[Goal]:
    """Each goal beside what was measured. One that was measured on less than it asks for is not judged."""
    alone = next((each for each in decoding if each.batch == 1), None)
    many = next((each for each in decoding if each.batch == GAIN_BATCH), None)
    screens = next((each for each in media if each.name == "screen-24"), None)
    share = None if alone is None else alone.bandwidth_share
    gain, tokens = (None, None) if many is None else (many.gain, many.tokens)
    peak = None if screens is None else screens.peak_share
    ratio = None if run is None else run.ratio
    count = 0 if run is None else run.screens
    return [
        Goal(
            name="Decoding at batch 1, share of the bandwidth limit",
            wanted=f"{BANDWIDTH:.0%} or more",
            measured="" if share is None else f"{share:.0%}",
            held=None if share is None else share >= BANDWIDTH,
        ),
        Goal(
            name=f"Decoding at batch {GAIN_BATCH} against batch 1, answers of {GAIN_TOKENS} tokens",
            wanted=f"{GAIN:g} times the tokens a second or more",
            measured="" if gain is None else f"{gain:.1f} times" + _less(tokens, GAIN_TOKENS, "tokens"),
            held=None if gain is None or (tokens or 0) < GAIN_TOKENS else gain >= GAIN,
        ),
        Goal(
            name="Prefill of 24-crop screens, share of peak arithmetic",
            wanted=f"{PEAK:.0%} or more",
            measured="" if peak is None else f"{peak:.0%}",
            held=None if peak is None else peak >= PEAK,
        ),
        Goal(
            name=f"A run of {SCREENS} screens against the same tensors on the device",
            wanted=f"{RATIO:g} times the time or less",
            measured="" if ratio is None else f"{ratio:.2f} times" + _less(count, SCREENS, "screens"),
            held=None if ratio is None or count < SCREENS else ratio <= RATIO,
        ),
    ]


def _less(measured: int | None, wanted: int, what: str) -> str:
    return f", on {measured} {what}" if measured is not None and measured < wanted else ""
