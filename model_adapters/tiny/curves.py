"""Draw the kept logs: `python -m mpeval.model_adapters.tiny.curves` writes logs/curves.svg (needs matplotlib)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LOGS = Path(__file__).parent / "logs"
_COLOURS = {"grounding": "#1f77b4", "text": "#d95f02"}
_PANELS = {"points": "F1, shapes", "screen": "accuracy, screens", "count": "accuracy, counts"}


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def main() -> None:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "mpeval"  # the same file at every run
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, 1 + len(_PANELS), figsize=(13, 3.2), layout="constrained")
    for file in sorted(LOGS.glob("*_seed*.jsonl")):
        rows = read(file)
        written, seed = rows[0]["settings"]["written"], rows[0]["settings"]["seed"]
        style = {"color": _COLOURS[written], "linestyle": "-" if seed == 1 else "--"}
        losses = [(row["step"], row["token"]) for row in rows if "token" in row]
        panels[0].plot(*zip(*losses), label=f"{written}, seed {seed}", linewidth=1, **style)
        for panel, kind in zip(panels[1:], _PANELS):
            values = [(row["step"], row["heldout"][kind]) for row in rows if "heldout" in row]
            panel.plot(*zip(*values), marker="o", markersize=3, **style)
    panels[0].set(title="token loss", yscale="log", xlabel="step")
    panels[0].legend(fontsize=7)
    for panel, title in zip(panels[1:], _PANELS.values()):
        panel.set(title=title, ylim=(0, 1), xlabel="step")
    figure.savefig(LOGS / "curves.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
