"""A run's scores as the Hub's evaluation results, in its two forms.

- `model-index` in the metadata of a model's card (hub-docs, modelcard.md): all numbers of a run that are not of a
  slice, each with its protocol, elicitation, samples and interval as the metric's arguments.
- An entry of `.eval_results/*.yaml` (hub-docs, eval_results.yaml), for datasets that are benchmarks on the Hub: the
  headline alone, and all else in one line of notes, for there is no other room.

Values are in percent, as everywhere that mpeval prints. `verified` is left out: only the Hub sets it.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

import msgspec

import mpeval
from mpeval.data.source import DatasetBenchmark
from mpeval.errors import UserError
from mpeval.manifest import identity_hash
from mpeval.scoring import Result, benchmark_of, score
from mpeval.store import Run
from mpeval.types import Benchmark, Metric

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

TASKS = {"video": ("video-text-to-text", "Pointing in video")}
IMAGE_TASK = ("image-text-to-text", "Pointing in images")
"""The Hub's task types have none for pointing: these are the kinds of model that are asked."""


def card_text(run: Run, protocol: str | None, source_url: str | None, there: str = "") -> str:
    """A model card with the run's results under `model-index`.

    protocol: a name, `all`, or None for the run's own. there: the card to add them to; its text, its other metadata
    and other results stay as they are, and what was written of this run before is replaced. Raises `UserError` for a
    run that is not of the full split, and for a card whose metadata cannot be read.
    """
    from huggingface_hub.repocard import REGEX_YAML_BLOCK, RepoCard
    from huggingface_hub.repocard_data import eval_results_to_model_index

    (index,) = eval_results_to_model_index(run.manifest.model, _eval_results(run, protocol, source_url))
    try:
        card = RepoCard(there if REGEX_YAML_BLOCK.search(there) else f"---\n\n---\n{there}")
        (earlier,) = card.data.get("model-index") or [{"name": index["name"], "results": []}]
        others = _without_run(earlier["results"], identity_hash(run.manifest.identity))
    except Exception as error:  # of its YAML library; ValueError, TypeError and KeyError of what is of another shape
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"the card's metadata cannot be read ({first_line}): mend the card first") from error
    # Not through the library's own results: it would give those of one dataset the first one's source.
    card.data["model-index"] = [{**earlier, "results": [*others, *index["results"]]}]
    return str(card)


def _without_run(results: list[dict[str, Any]], run: str) -> list[dict[str, Any]]:
    """A card's results without those of a run."""
    others = []
    for result in results:
        metrics = [each for each in result["metrics"] if (each.get("args") or {}).get("run") != run]
        others += [{**result, "metrics": metrics}] if metrics else []
    return others


def results_file(run: Run, protocol: str | None, source_url: str | None, task_id: str) -> str:
    """A file for a model's `.eval_results/`. task_id: the task in the dataset's own `eval.yaml`.

    Raises `UserError` as `card_text`, and for a benchmark that is no dataset of the Hub or several protocols.
    """
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml
    from huggingface_hub.utils import yaml_dump

    benchmark, results = _whole(run, protocol)
    dataset = dataset_id(benchmark)
    if dataset is None:
        raise UserError(f"{run.manifest.benchmark} is no dataset of the Hub: '--format hf' is for a model's card")
    if len(results) > 1:
        raise UserError("an entry has one value: name one protocol")
    (result,) = results
    assert result.headline is not None
    how = ", ".join(f"{name} {value}" for name, value in _elicitation(run).items())
    interval = "95 % interval {} to {}, ".format(*_interval(result.headline)) if result.headline.interval else ""
    entry = EvalResultEntry(
        dataset_id=dataset,
        task_id=task_id,
        value=_percent(result.headline.value),
        dataset_revision=_commit(run),
        date=run.manifest.sessions[-1].started if run.manifest.sessions else None,
        source_url=source_url,
        source_name=f"mpeval {mpeval.__version__}" if source_url else None,
        notes=(
            f"{_metric_name(result.headline, result)} in percent, {interval}n {result.headline.count}; "
            f"asked as: {how}; mpeval {mpeval.__version__}, run {identity_hash(run.manifest.identity)}"
        ),
    )
    return yaml_dump(eval_result_entries_to_yaml([entry]))


def _eval_results(run: Run, protocol: str | None, source_url: str | None) -> list[EvalResult]:
    from huggingface_hub import EvalResult

    benchmark, results = _whole(run, protocol)
    card, commit = benchmark.card, _commit(run)
    task, task_name = TASKS.get(card.media, IMAGE_TASK)
    versions = sorted({session.versions.get("mpeval", "unknown") for session in run.manifest.sessions})
    about_run = {
        "unit": "percent",
        "elicitation": _elicitation(run),
        "seed": run.manifest.identity["seed"],
        "data_revision": run.manifest.identity["benchmark"]["revision"],
        "asked_by": f"mpeval {', '.join(versions) or 'unknown'}",
        "scored_by": f"mpeval {mpeval.__version__}",
        "run": identity_hash(run.manifest.identity),
        "answers_sha256": _answers_sha256(run),
    }
    return [
        EvalResult(
            task_type=task,
            task_name=task_name,
            dataset_type=dataset_id(benchmark) or card.name,
            dataset_name=card.title if card.title != "Your own data" else card.name,
            dataset_split=benchmark.source.split if isinstance(benchmark, DatasetBenchmark) else None,
            dataset_revision=commit,
            metric_type=metric.name,
            metric_name=_metric_name(metric, result),
            metric_value=_percent(metric.value),
            metric_args={**_about(metric, result), **about_run},
            source_name=f"mpeval {mpeval.__version__}" if source_url else None,
            source_url=source_url,
        )
        for result in results
        for metric in _headline_first(result)
    ]


def _whole(run: Run, protocol: str | None) -> tuple[Benchmark, list[Result]]:
    """The benchmark and the scores of a run of the full split. Raises `UserError` for a part of one."""
    manifest = run.manifest
    benchmark = benchmark_of(manifest, list(run.rows()))
    rows, _ = run.counts()
    of = benchmark.card.size or manifest.expected
    limits = [session.limit for session in manifest.sessions]
    # Where the benchmark's size is not known, a session that asked for all of it tells.
    limited = benchmark.card.size is None and bool(limits) and None not in limits
    if manifest.shard or limited or rows < max(manifest.expected, of):
        what = f"shard {manifest.shard}, " if manifest.shard else ""
        what += f"{rows} samples, drawn with --limit" if limited else f"{rows} of {max(manifest.expected, of)} samples"
        do = "merge its shards" if manifest.shard else "finish the run"
        raise UserError(f"{run.path} is a part of {manifest.benchmark} ({what}); the Hub shows full splits alone: {do}")
    results = score(run, protocol)
    for result in results:
        if result.headline is None:
            raise UserError(f"{run.path} has no score under protocol {result.protocol}: there is nothing to export")
    return benchmark, results


def _about(metric: Metric, result: Result) -> dict[str, Any]:
    return {
        "protocol": result.protocol,
        "scorer": result.scorer,
        "scorer_verified": result.verified,
        **({"scorer_only": "asked in another way than the protocol says"} if result.scorer_only else {}),
        "n": metric.count,
        "samples": result.samples,
        "failed_samples": result.failed,
        **({"interval_95": list(_interval(metric))} if metric.interval else {}),
        **({"masks_by": result.masks_by} if result.masks_by else {}),
    }


def _elicitation(run: Run) -> dict[str, Any]:
    """Every field: what is None would be dropped from the metadata."""
    fields = msgspec.structs.asdict(run.manifest.elicitation)
    return {name: "as the model is configured" if value is None else value for name, value in fields.items()}


def _metric_name(metric: Metric, result: Result) -> str:
    """`accuracy (protocol paper)`, with what a reader of the number alone must know."""
    marks = [f"protocol {result.protocol}"]
    marks += ["scorer only"] if result.scorer_only else []
    marks += [f"{result.failed} of {result.samples} samples failed"] if result.failed else []
    return f"{metric.name} ({', '.join(marks)})"


def _headline_first(result: Result) -> list[Metric]:
    whole = [metric for metric in result.metrics if metric.slice is None]
    return sorted(whole, key=lambda metric: metric != result.headline)


def dataset_id(benchmark: Benchmark) -> str | None:
    """The Hub's id of the dataset that the benchmark is; None where its questions are not those of a dataset there."""
    if not isinstance(benchmark, DatasetBenchmark) or benchmark.source.repository not in benchmark.card.source:
        return None
    return benchmark.source.repository


def _commit(run: Run) -> str | None:
    """The dataset's commit, where the data were fetched from the Hub and are as fetched."""
    revision = run.manifest.identity["benchmark"]["revision"]
    return revision if re.fullmatch(r"[0-9a-f]{40}", revision) else None


def _answers_sha256(run: Run) -> str:
    """Of what `mpeval export RUN` prints."""
    digest = hashlib.sha256()
    for row in run.rows():
        digest.update(msgspec.json.encode(row) + b"\n")
    return digest.hexdigest()


def _interval(metric: Metric) -> tuple[float, float]:
    assert metric.interval is not None
    return _percent(metric.interval[0]), _percent(metric.interval[1])


def _percent(value: float) -> float:
    return round(100 * value, 2)
