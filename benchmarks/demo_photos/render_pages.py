"""Renders the pages in `pages/` and writes their pictures and targets. Needed only when a page changes.

    python -m mpeval.benchmarks.demo_photos.render_pages [CHROMIUM]

Needs the package `playwright` and a Chromium (the argument: its path; else the one that playwright installs). A
page's size is in its meta element `viewport`. An element with `data-query` is a target: a box from its bounding
rectangle, or its outline where it is an SVG polygon. Its meta element `absent` names what is not on the page.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
_BROWSER_ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
_READ_TARGETS = """() => Array.from(document.querySelectorAll('[data-query]'), element => {
    const query = element.dataset.query;
    if (element.tagName === 'polygon') {
        const matrix = element.getScreenCTM();
        const outline = Array.from(element.points, p => p.matrixTransform(matrix)).map(p => [p.x, p.y]);
        return [query, {type: 'polygon', polygon: outline}];
    }
    const r = element.getBoundingClientRect();
    return [query, {type: 'box', box: [r.left, r.top, r.right, r.bottom]}];
})"""
_READ_META = "name => document.querySelector(`meta[name=${name}]`).content"


def render(chromium: str | None = None) -> list[dict]:
    """Draw every page into `pictures/`; return the rows of `pages.json`."""
    from playwright.sync_api import sync_playwright

    rows = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(_BROWSER_ARGUMENTS))
        for source in sorted((HERE / "pages").glob("*.html")):
            page = browser.new_page()
            page.goto(source.as_uri())
            width, height = map(int, page.evaluate(_READ_META, "viewport").split("x"))
            page.set_viewport_size({"width": width, "height": height})
            page.screenshot(path=HERE / "pictures" / f"{source.stem}.png")
            found = page.evaluate(_READ_TARGETS)
            found.append([page.evaluate(_READ_META, "absent"), {"type": "refusal"}])
            for i, (query, target) in enumerate(found):
                rows.append(
                    {
                        "id": f"{source.stem}/{i}",
                        "picture": f"{source.stem}.png",
                        "query": query,
                        "target": target,
                    }
                )
            page.close()
        browser.close()
    return rows


def dump(rows: list[dict]) -> str:
    """JSON with one row a line."""
    return "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n"


if __name__ == "__main__":
    (HERE / "pages.json").write_text(dump(render(*sys.argv[1:2])), encoding="utf-8")
