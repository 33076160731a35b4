"""The generated demo benchmarks: complete, scored 1 by the oracle, and not to be solved by colour or by guessing."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest

from mpeval.benchmarks.demo_count import benchmark as demo_count
from mpeval.benchmarks.demo_points import benchmark as demo_points
from mpeval.benchmarks.demo_screens import benchmark as demo_screens
from mpeval.model_adapters import center, colour, none, oracle, random
from mpeval.registry import ModelOptions
from mpeval.types import Benchmark, BoxTarget, PointsTarget, PolygonTarget, Query, RefusalTarget

ALL = [demo_points, demo_screens, demo_count]


def headline(benchmark: Benchmark, model) -> float:
    """What a sanity model reaches under the default protocol."""
    adapter = model.entry.load(None, ModelOptions())
    protocol = next(iter(benchmark.protocols.values()))
    elicitation, scorer = benchmark.elicitations[protocol.elicitation], benchmark.scorers[protocol.scorer]
    values = []
    for seed, sample in enumerate(benchmark.samples()):
        query = Query(sample.id, sample.media, elicitation.prompt(sample), elicitation, seed, sample.target)
        (prediction,) = adapter.generate([adapter.prepare(query)])
        values.append(scorer.score(sample.target, prediction, sample.media.size).values[scorer.headline])
    return sum(values) / len(values)


@pytest.mark.parametrize("benchmark", ALL, ids=lambda b: b.card.name)
def test_a_benchmark_is_complete(benchmark):
    assert isinstance(benchmark, Benchmark)
    samples = list(benchmark.samples())
    assert len(samples) == benchmark.card.size
    assert len({sample.id for sample in samples}) == len(samples)
    assert [s.media.sha256 for s in benchmark.samples()] == [s.media.sha256 for s in samples]
    for protocol in benchmark.protocols.values():
        assert protocol.elicitation in benchmark.elicitations
        assert protocol.scorer in benchmark.scorers
    assert next(iter(benchmark.protocols)) == "strict"


@pytest.mark.parametrize("benchmark", ALL, ids=lambda b: b.card.name)
def test_prompts_are_those_of_the_training(benchmark):
    """The miniatures were trained on `SceneQuery.prompt`: another template would ask them in words they do not know."""
    from mpeval.benchmarks.scenes import TEMPLATES, VOCABULARY
    from mpeval.benchmarks.scenes.types import QueryKind

    (elicitation,) = benchmark.elicitations.values()
    kinds: dict[str, QueryKind] = {"demo-points": "points", "demo-screens": "screen", "demo-count": "count"}
    assert elicitation.template == TEMPLATES[kinds[benchmark.card.name]]
    words = {word for sample in benchmark.samples() for word in elicitation.prompt(sample).split()}
    assert words <= set(VOCABULARY)


@pytest.mark.parametrize("benchmark", ALL, ids=lambda b: b.card.name)
def test_the_oracle_scores_exactly_one(benchmark):
    assert headline(benchmark, oracle) == 1


def test_silence_scores_the_share_of_refusals():
    points = [sample.target for sample in demo_points.samples()]
    empty = sum(isinstance(t, PointsTarget) and not t.points for t in points) / len(points)
    assert headline(demo_points, none) == pytest.approx(empty)
    refusals = [isinstance(sample.target, RefusalTarget) for sample in demo_screens.samples()]
    assert headline(demo_screens, none) == pytest.approx(sum(refusals) / len(refusals))
    assert 0.1 < empty < 0.25


@pytest.mark.parametrize("benchmark", [demo_points, demo_screens], ids=lambda b: b.card.name)
def test_guessing_fails(benchmark):
    assert headline(benchmark, random) <= 0.15
    assert headline(benchmark, center) <= 0.15
    assert headline(benchmark, colour) <= 0.5


def test_screens_have_boxes_polygons_and_refusals():
    kinds = Counter(type(sample.target) for sample in demo_screens.samples())
    assert min(kinds[BoxTarget], kinds[PolygonTarget], kinds[RefusalTarget]) > 30


def test_counts_are_spread():
    counts = Counter(sample.slices["targets"] for sample in demo_count.samples())
    assert min(counts[count] for count in ("0", "1", "2", "3+")) >= 25


def test_importing_the_benchmarks_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from mpeval.benchmarks import demo_points, demo_screens, demo_count, demo_photos\n"
        "print([m for m in ('PIL', 'torch', 'scipy', 'pycocotools', 'mpeval.benchmarks.scenes') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
