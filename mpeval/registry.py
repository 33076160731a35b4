"""What is installed: benchmarks and models, found through entry points and imported only when asked for.

A package adds its own with two groups of entry points:

    [project.entry-points."mpeval.benchmarks"]
    my-benchmark = "my_package.my_benchmark:BENCHMARK"   # an object with the members of `types.Benchmark`

    [project.entry-points."mpeval.models"]
    my-model = "my_package.my_model:MODEL"               # a `ModelEntry`

The entry point's name is the name on the command line; for a benchmark it equals `card.name`. Listing names
imports nothing but `importlib.metadata`. `mpeval list` imports every module named here, so these modules must
be light: they import torch and the like inside `load`, `samples` or the scorers.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Literal, TypeVar, cast

from mpeval.errors import UserError
from mpeval.types import Benchmark, ModelAdapter

BENCHMARKS = "mpeval.benchmarks"
MODELS = "mpeval.models"

T = TypeVar("T")


@dataclass(frozen=True)
class ModelOptions:
    """What the command line says of how a model is run. A model takes what applies to it.

    What a query may say of itself (crops, frames, tokens) is in its `Elicitation`.
    """

    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:1`, `mps`."""
    dtype: str = "auto"
    """`auto`, `float32`, `bfloat16`, `float16`."""
    semantics: Literal["native", "hf"] = "native"
    """Which of the release's two programs a grounding-token model follows."""


@dataclass(frozen=True)
class ModelEntry:
    """A model as it is registered: light to import, loaded on demand.

    Any object with these attributes serves; a family of models writes one for each name:

        MOLMOPOINT_TINY = ModelEntry("molmopoint-tiny", "Grounding tokens, 2M parameters", load=_load_tiny)
    """

    name: str
    description: str
    """One line for `mpeval list`."""
    load: Callable[[str | None, ModelOptions], ModelAdapter]
    """(argument, options) -> adapter. The argument is what follows the colon in `replay:FILE`, a checkpoint's
    folder for instance; None where nothing does. Raises `UserError` for a missing or damaged checkpoint."""
    argument: str = ""
    """What follows the colon: `FILE` (required), `[DIR]` (optional); empty: nothing may."""
    weight_bytes: Callable[[str | None, ModelOptions], int | None] | None = None
    """Bytes of weights on the device, from file headers alone (for `run --dry-run`); None: no weights. It gives None
    where they are not on this machine yet, and fetches nothing."""


@dataclass(frozen=True)
class Broken:
    """A plugin that cannot be used, and why."""

    name: str
    package: str
    reason: str

    def __str__(self) -> str:
        return f"plugin '{self.name}' of package '{self.package}' is broken: {self.reason}"


def names(group: str) -> list[str]:
    """Names registered in a group, sorted; imports none of them."""
    return sorted(_entry_points(group))


def benchmark(name: str) -> Benchmark:
    """The benchmark of this name, or in a JSONL file of the user's own.

    Raises `UserError` for an unknown or a broken one.
    """
    from mpeval.own_data import is_own, open_own

    if is_own(name):
        return open_own(Path(name).expanduser())
    return _load_one(BENCHMARKS, "benchmark", name, _check_benchmark)


def model_entry(name: str) -> ModelEntry:
    """The model of this name, without its argument. Raises `UserError` for an unknown or a broken one."""
    return _load_one(MODELS, "model", name, _check_model)


def resolve_model(spec: str) -> tuple[ModelEntry, str | None]:
    """Split `name` or `name:ARGUMENT` and find the model, without loading it."""
    name, _, rest = spec.partition(":")
    argument = rest or None
    entry = model_entry(name)
    if argument and not entry.argument:
        raise UserError(f"model '{name}' takes nothing after a colon: write --model {name}")
    if argument is None and entry.argument and not entry.argument.startswith("["):
        raise UserError(f"model '{name}' needs {entry.argument}: write --model {name}:{entry.argument}")
    return entry, argument


def load_model(spec: str, options: ModelOptions | None = None) -> ModelAdapter:
    """Load a model by its spec (`molmopoint-tiny`, `replay:FILE`)."""
    entry, argument = resolve_model(spec)
    return entry.load(argument, options or ModelOptions())


def all_benchmarks() -> tuple[dict[str, Benchmark], list[Broken]]:
    """Every benchmark that works, by name, and those that do not."""
    return _load_all(BENCHMARKS, _check_benchmark)


def all_models() -> tuple[dict[str, ModelEntry], list[Broken]]:
    """Every model that works, by name (none of them loaded), and those that do not."""
    return _load_all(MODELS, _check_model)


def suites(benchmarks: Iterable[Benchmark]) -> dict[str, list[Benchmark]]:
    """Suite -> its benchmarks, from their cards: those outside the suite's average come last."""
    found: dict[str, list[Benchmark]] = {}
    for each in sorted(benchmarks, key=lambda each: (not each.card.in_average, each.card.name)):
        for name in each.card.suites:
            found.setdefault(name, []).append(each)
    return dict(sorted(found.items()))


def suite(name: str) -> tuple[list[Benchmark], list[Broken]]:
    """The benchmarks of a suite, and plugins that could not be asked whether they belong to it.

    Raises `UserError` for an unknown suite.
    """
    benchmarks, broken = all_benchmarks()
    known = suites(benchmarks.values())
    if name not in known:
        raise unknown("suite", name, known)
    return known[name], broken


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that is not known: suggests the nearest, else lists what there is."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if near:
        hint = f"did you mean '{near[0]}'?"
    elif known:
        hint = f"there is {', '.join(known)}"
    else:
        hint = "none is installed (is mpeval itself installed? `pip install -e .` registers what it ships)"
    return UserError(f"unknown {kind} '{name}': {hint}")


# --- entry points ---------------------------------------------------------------------------------


def _entry_points(group: str) -> dict[str, EntryPoint]:
    """Name -> entry point. Of two packages with one name, mpeval wins, else the first in the alphabet."""
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=group):
        found.setdefault(point.name, []).append(point)
    # A package's name is asked for only where it decides: it is read from the package's whole description.
    return {name: min(points, key=_precedence) if points[1:] else points[0] for name, points in found.items()}


def _precedence(point: EntryPoint) -> tuple[bool, str]:
    return _package(point) != "mpeval", _package(point)


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "?"


def _load_one(group: str, kind: str, name: str, check: Callable[[str, object], T]) -> T:
    points = _entry_points(group)
    if name not in points:
        raise unknown(kind, name, points)
    loaded = _try_to_load(points[name], check)
    if isinstance(loaded, Broken):
        raise UserError(f"{loaded} (repair or uninstall '{loaded.package}')")
    return loaded


def _load_all(group: str, check: Callable[[str, object], T]) -> tuple[dict[str, T], list[Broken]]:
    works: dict[str, T] = {}
    broken = []
    for name, point in sorted(_entry_points(group).items()):
        loaded = _try_to_load(point, check)
        if isinstance(loaded, Broken):
            broken.append(loaded)
        else:
            works[name] = loaded
    return works, broken


def _try_to_load(point: EntryPoint, check: Callable[[str, object], T]) -> T | Broken:
    try:
        return check(point.name, point.load())
    except (Exception, SystemExit) as error:  # whatever a foreign module does on import, the rest must work
        first_line = (str(error).splitlines() or [""])[0]
        return Broken(point.name, _package(point), f"{type(error).__name__}: {first_line}")


def _check_benchmark(name: str, plugin: object) -> Benchmark:
    missing = _missing(plugin, ("card", "elicitations", "scorers", "protocols", "samples"))
    if missing:
        raise TypeError(f"it is no Benchmark: it lacks {missing}")
    benchmark = cast(Benchmark, plugin)
    if benchmark.card.name != name:
        raise ValueError(f"it is registered as '{name}', but its card says '{benchmark.card.name}'")
    return benchmark


def _check_model(name: str, plugin: object) -> ModelEntry:
    missing = _missing(plugin, ("name", "description", "load", "argument", "weight_bytes"))
    if missing:
        raise TypeError(f"it is no ModelEntry: it lacks {missing}")
    entry = cast(ModelEntry, plugin)
    if entry.name != name:
        raise ValueError(f"it is registered as '{name}', but calls itself '{entry.name}'")
    return entry


def _missing(plugin: object, attributes: Iterable[str]) -> str:
    return ", ".join(each for each in attributes if not hasattr(plugin, each))
