"""The site in a real browser: from disk and from a server. Left out where Playwright or Chromium is missing."""

from __future__ import annotations

import functools
import random
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mpeval.leaderboard.site import build_site
from mpeval.masks import encode
from mpeval.types import PointsTarget, Prediction
from tests.leaderboard.site_runs import HOSTILE, hostile, put_run, screens
from tests.leaderboard.test_site import read_shard

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright's Python client is not installed")
expect = playwright.expect
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    # A browser is not among what pip installs; what needs none is tested in test_site.py.
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
    pytest.mark.slow,
]

MANY, FEW = 20_000, 1_000


@dataclass
class Watched:
    """A page, and everything that it complained about or asked of others."""

    page: Any
    start: str
    faults: list[str] = field(default_factory=list)

    def go(self, address: str = "#/") -> None:
        self.page.goto("about:blank")
        self.page.goto(self.start + address)
        self.page.wait_for_selector("main h1")

    def texts(self, selector: str) -> list[str]:
        return self.page.locator(selector).all_inner_texts()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 20,000 samples, one of some of them, one whose every text is hostile, and one with pictures."""
    folder = tmp_path_factory.mktemp("site")
    put_run(folder / "runs", "good", "demo-screens", screens(MANY, 0.8, seed=0), MANY)
    put_run(folder / "runs", "fair", "demo-screens", screens(FEW, 0.5, seed=1), FEW)
    put_run(folder / "runs", HOSTILE, "demo-screens", hostile(), 5)
    pictures(folder / "runs")
    build_site(folder / "www", folder / "runs")
    return folder / "www"


def pictures(out: Path) -> None:
    """A run on the first samples of a benchmark whose pictures are here."""
    from mpeval import registry
    from mpeval.store import Row

    rows: list[Row] = []
    for position, sample in enumerate(registry.benchmark("demo-points").samples()):
        if isinstance(sample.target, PointsTarget) and len(sample.target.points) == 1 and len(rows) < 4:
            media, points = sample.media, sample.target.points
            prediction = Prediction("<points>", points, "molmo2-coords", generated_tokens=5)
            slices = {**sample.slices, "set": "x", "set=of": str(len(rows) % 2)}
            rows.append(Row(sample.id, position, media.sha256, media.size, "point", sample.target, slices, prediction))
    put_run(out, "pictures", "demo-points", rows, 4)


@pytest.fixture(scope="module")
def served(site: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/index.html"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def watched(browser: Any, site: Path, request: pytest.FixtureRequest) -> Iterator[Watched]:
    """The page from disk, or from where a test asks; fails where the console says anything."""
    start = request.param if isinstance(getattr(request, "param", None), str) else "disk"
    address = f"{site.as_uri()}/index.html" if start == "disk" else request.getfixturevalue("served")
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    seen = Watched(context.new_page(), address)
    allowed = address.removesuffix("index.html")
    seen.page.on("console", lambda message: seen.faults.append(message.text))
    seen.page.on("pageerror", lambda error: seen.faults.append(str(error)))
    seen.page.on("dialog", lambda dialog: seen.faults.append(f"dialog: {dialog.message}"))

    def asked(asked_for: Any) -> None:
        if not asked_for.url.startswith((allowed, "about:")):
            seen.faults.append(f"asked for {asked_for.url}")

    seen.page.on("request", asked)
    yield seen
    context.close()
    assert seen.faults == []


from_both = pytest.mark.parametrize("watched", ["disk", "server"], indirect=True)


def run_id(site: Path, model: str) -> str:
    return next(run["id"] for run in read_shard(site, "index")["runs"] if run["model"] == model)


@from_both
def test_tables_sort_and_filter(watched: Watched) -> None:
    watched.go("#/table/3")
    page = watched.page
    printed = watched.texts("tbody tr th[scope=row]")
    assert printed[0] == "Claude 3.7"
    page.get_by_role("button", name="ScreenSpot-V2").click()
    assert page.locator("th[aria-sort=descending]").count() == 1
    values = [float(text.split()[0].rstrip("∗")) for text in watched.texts("tbody tr td:nth-child(2) .cell")]
    assert values == sorted(values, reverse=True)
    page.get_by_role("button", name="ScreenSpot-V2").click()
    assert watched.texts("tbody tr th[scope=row]")[0] == "Claude 3.7"  # lowest first: it happens to be that one
    page.get_by_role("button", name="ScreenSpot-V2").click()
    assert watched.texts("tbody tr th[scope=row]") == printed
    page.get_by_label("Kind").select_option("api")
    assert watched.texts("tbody tr th[scope=row]") == ["Claude 3.7", "OpenAI CUA", "Gemini-3-Pro"]
    page.get_by_label("Kind").select_option("")
    page.get_by_label("Size").select_option("middle")
    assert "Holo2-8B" in watched.texts("tbody tr th[scope=row]")
    assert "Claude 3.7" not in watched.texts("tbody tr th[scope=row]")
    page.get_by_label("Size").select_option("")
    page.get_by_label("Model").fill("molmopoint-gui")
    assert len(watched.texts("tbody tr th[scope=row]")) == 2


def test_a_cell_tells_its_interval_and_leads_to_its_run(watched: Watched) -> None:
    watched.go("#/table/demo")
    page = watched.page
    page.get_by_label("Protocol").select_option("strict")
    cell = page.locator("tr.measured", has_text="good").locator("button.cell").first
    cell.focus()
    assert page.locator("#tip").inner_text().startswith("95 % interval ")
    assert "measured" in cell.inner_text()
    cell.press("Enter")
    details = page.get_by_role("region", name="About the cell")
    assert "20000" in details.inner_text()
    details.get_by_role("link").first.click()
    page.wait_for_selector("main h1:has-text('good')")
    assert "Scores under every protocol" in page.locator("main").inner_text()
    watched.go("#/table/3")
    page.locator("button.cell").first.click()
    assert "Table 3" in details.inner_text() and "published" in details.inner_text()


def test_arrows_move_from_cell_to_cell(watched: Watched) -> None:
    watched.go("#/table/3")
    cell = watched.page.locator("button.cell").first
    cell.focus()
    cell.press("ArrowRight")
    assert watched.page.evaluate("document.activeElement.innerText").startswith("27.7")
    watched.page.keyboard.press("ArrowDown")
    assert watched.page.evaluate("document.activeElement.innerText").startswith("23.4")


@from_both
def test_samples_are_opened_stepped_through_and_filtered_by_key(watched: Watched, site: Path) -> None:
    watched.go(f"#/run/{run_id(site, 'good')}/samples")
    page = watched.page
    page.wait_for_selector("svg.view")
    place = page.locator(".place")
    expect(place).to_have_text(f"1 of {MANY}")
    expect(page.locator(".prompt")).to_have_text("click control 0")
    for key in ("j", "j", "ArrowRight", "k"):
        page.keyboard.press(key)
    expect(page.locator(".prompt")).to_have_text("click control 2")
    expect(place).to_have_text(f"3 of {MANY}")
    expect(page).to_have_url(re.compile("/samples/2$"))  # a moment later

    page.keyboard.press("f")  # hits
    expect(page.get_by_label("Outcome")).to_have_value("h")
    page.keyboard.press("f")  # misses
    expect(page.get_by_label("Outcome")).to_have_value("m")
    page.wait_for_selector("svg.view")
    assert set(watched.texts(".samples .outcome .unseen")) == {"miss"}
    misses = int(place.inner_text().split()[-1])
    assert misses == int(page.locator("select option[value=m]").inner_text().split("(")[1].rstrip(")"))
    page.keyboard.press("f")  # format failures
    expect(page.get_by_label("Outcome")).to_have_value("f")
    expect(page.locator(".text")).to_have_text("I would click there.")

    page.get_by_label("Slice").select_option("control=icon")
    expect(page.locator(".about")).to_contain_text("icon")
    assert int(place.inner_text().split()[-1]) < misses


def test_a_filter_chosen_by_key_keeps_the_keyboard_and_the_place(watched: Watched, site: Path) -> None:
    watched.go(f"#/run/{run_id(site, 'good')}/samples")
    page = watched.page
    page.set_viewport_size({"width": 1280, "height": 400})
    page.evaluate("window.scrollTo(0, 60)")
    page.get_by_label("Outcome").focus()
    at = page.evaluate("window.scrollY")
    for value in ("h", "m"):  # the second one goes where the first one went
        page.keyboard.press("ArrowDown")
        expect(page.get_by_label("Outcome")).to_have_value(value)
        expect(page.get_by_label("Outcome")).to_be_focused()
    page.wait_for_selector("svg.view")
    assert at > 20 and page.evaluate("window.scrollY") == at


def test_a_sample_opened_from_the_list_by_key_leaves_the_keyboard_there(watched: Watched, site: Path) -> None:
    watched.go(f"#/run/{run_id(site, 'good')}/samples")
    page = watched.page
    line = page.locator(".samples button").nth(3)
    line.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".place")).to_have_text(f"4 of {MANY}")
    expect(line).to_be_focused()
    expect(line).to_have_attribute("aria-current", "true")
    assert page.locator(".samples [aria-current]").count() == 1
    page.keyboard.press("ArrowDown")  # from there the arrows go on
    expect(page.locator(".place")).to_have_text(f"5 of {MANY}")
    expect(page.locator(".samples button").nth(4)).to_be_focused()
    page.keyboard.press("Tab")  # and the next stop is no other line of a hundred
    assert not page.evaluate("document.querySelector('.samples').contains(document.activeElement)")


def test_a_key_held_down_changes_the_address_seldom(watched: Watched, site: Path) -> None:
    """Browsers refuse to after 100 times in 30 seconds, and one of them with an error."""
    watched.go(f"#/run/{run_id(site, 'good')}/samples")
    written = watched.page.evaluate("""async () => {
        const replace = history.replaceState;
        let written = 0;
        history.replaceState = (...given) => { written += 1; replace.apply(history, given); };
        for (let i = 0; i < 150; i++) {
            document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "j", bubbles: true }));
            await new Promise((resolve) => setTimeout(resolve, 5));
        }
        return written;
    }""")
    assert written < 20
    expect(watched.page).to_have_url(re.compile("/samples/150$"))
    expect(watched.page.locator(".prompt")).to_have_text("click control 150")


def test_a_place_deep_in_a_large_run_loads_what_is_looked_at_alone(watched: Watched, site: Path) -> None:
    asked: list[str] = []
    watched.page.on("request", lambda request: asked.append(request.url))
    watched.go(f"#/run/{run_id(site, 'good')}/samples/15005")
    expect(watched.page.locator(".prompt")).to_have_text("click control 15005")
    shards = [url for url in asked if url.rsplit("/", 1)[-1].removesuffix(".js").isdigit()]
    assert [url.rsplit("/", 1)[-1] for url in shards] == ["75.js", "75.js"]  # of the samples, and of the answers


def test_the_list_shows_the_sample_that_an_address_names(watched: Watched, site: Path) -> None:
    watched.go(f"#/run/{run_id(site, 'good')}/samples/15080")
    expect(watched.page.locator(".prompt")).to_have_text("click control 15080")
    line, around = (watched.page.locator(each).bounding_box() for each in (".samples [aria-current]", ".samples"))
    assert around["y"] <= line["y"] < around["y"] + around["height"]


@from_both
def test_two_runs_side_by_side(watched: Watched, site: Path) -> None:
    watched.go(f"#/compare/{run_id(site, 'good')}/{run_id(site, 'fair')}?group=a")
    page = watched.page
    page.wait_for_selector(".sides svg.view")
    assert page.locator("svg.view").count() == 2
    marks = watched.texts(".sides h2 .unseen")
    assert marks[0] == "hit" and marks[1] in ("miss", "format failure")
    assert "points" in page.locator(".difference").inner_text()
    before = page.locator(".prompt").inner_text()
    page.keyboard.press("j")
    expect(page.locator(".prompt")).not_to_have_text(before)
    page.get_by_label("Show").select_option("both")
    expect(page.locator(".sides h2 .unseen")).to_have_text(["hit", "hit"])


def test_text_of_models_and_data_is_shown_and_never_carried_out(watched: Watched, site: Path) -> None:
    address = f"#/run/{run_id(site, HOSTILE)}"
    watched.go(f"{address}/samples")
    page = watched.page
    page.wait_for_selector(".text")
    assert page.locator(".text").inner_text() == HOSTILE
    assert page.locator(".prompt").inner_text().startswith(HOSTILE)
    assert page.locator(".prompt").inner_text().endswith("\\u202eback")  # told, and nothing else is turned round
    assert page.locator("main img, main script").count() == 0
    watched.go(address)
    assert HOSTILE in page.locator("h1").inner_text()
    assert "__proto__" in page.locator(".slices").inner_text()
    watched.go("#/benchmark/demo-screens")
    assert page.locator("main img, main script").count() == 0
    watched.go("#/run/..%2F..%2Fother")
    assert page.locator("h1").inner_text() == "Not here"
    assert page.evaluate("({}).polluted === undefined && Object.getPrototypeOf({}) === Object.prototype")


def test_the_theme_follows_the_system_until_it_is_switched(watched: Watched) -> None:
    watched.go()
    page, root = watched.page, watched.page.locator("html")
    colour = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(colour)
    page.emulate_media(color_scheme="dark")
    expect(root).to_have_attribute("data-theme", "dark")
    assert page.evaluate(colour) != light
    page.emulate_media(color_scheme="light")
    expect(root).to_have_attribute("data-theme", "light")
    page.keyboard.press("t")
    assert page.evaluate(colour) != light
    watched.go("#/runs")
    assert page.evaluate(colour) != light  # it is remembered
    page.get_by_role("button", name="Light or dark").click()
    assert page.evaluate(colour) == light


def test_the_keyboard_alone_reaches_everything(watched: Watched) -> None:
    """Skip link, navigation in order, a visible focus, a cell's facts opened, and closed by Escape."""
    watched.go("#/table/3")
    page = watched.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    assert page.locator("h1").inner_text() == "Table 3: Pointing in screens"  # it is the same page still
    watched.go("#/table/3")
    reached = []
    for _ in range(15):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.innerText || document.activeElement.ariaLabel || ''"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none", reached
    assert reached[1:6] == ["mpeval", "Tables", "Benchmarks", "Runs", "◐"]
    assert reached[-5:-1] == ["Model", "ScreenSpot-V2", "ScreenSpot-Pro", "OSWorldG"]
    assert reached[-1].startswith("87.6")
    page.keyboard.press("Enter")
    assert page.locator(".details").is_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    assert not page.locator(".details").is_visible()
    assert page.evaluate("document.activeElement.innerText").startswith("87.6")


def test_a_part_of_a_split_says_so_in_every_table(watched: Watched, site: Path) -> None:
    watched.go("#/table/demo")
    page = watched.page
    cell = page.locator("tr.measured", has_text="fair").locator("button.cell").first
    assert "partly measured" in cell.inner_text()
    cell.click()
    assert "1000 of 252 samples" in page.get_by_role("region", name="About the cell").inner_text()
    watched.go("#/runs")
    assert "4 of 252" in page.locator("tr", has_text="pictures").inner_text()
    watched.go(f"#/run/{run_id(site, 'pictures')}")
    assert "4 of 252" in page.locator(".facts").first.inner_text()


def test_names_are_shown_whole_and_decimals_stay_in_line(watched: Watched) -> None:
    page = watched.page
    page.set_viewport_size({"width": 390, "height": 844})
    watched.go("#/table/3")
    clipped = "each => each.filter((label) => label.scrollWidth > label.clientWidth).map((label) => label.innerText)"
    assert page.locator("tbody th").evaluate_all(clipped) == []
    ends = """each => each.map((button) => {
        const range = document.createRange();
        range.selectNodeContents(button.firstChild);
        return Math.round(range.getBoundingClientRect().right);
    })"""
    assert len(set(page.locator("tbody td:nth-child(2) .cell").evaluate_all(ends))) == 1  # with and without a sign


def test_what_the_paper_leaves_out_is_a_dash_in_its_line_and_cannot_be_opened(watched: Watched) -> None:
    watched.go("#/table/5")
    row = watched.page.locator("tr", has_text="VideoLISA")
    assert row.locator("td").all_inner_texts()[2] == "–"
    assert row.locator("button.cell").count() == 5
    bottom = """(cell) => {
        const range = document.createRange();
        range.selectNodeContents(cell);
        return range.getBoundingClientRect().bottom;
    }"""
    dash, number = (row.locator("td").nth(i).evaluate(bottom) for i in (2, 1))
    assert abs(dash - number) < 4


def test_help_opens_and_closes(watched: Watched) -> None:
    watched.go()
    watched.page.keyboard.press("?")
    assert watched.page.get_by_role("dialog").is_visible()
    watched.page.keyboard.press("Escape")
    assert not watched.page.get_by_role("dialog").is_visible()


def test_a_phone_never_scrolls_sideways(watched: Watched, site: Path) -> None:
    watched.page.set_viewport_size({"width": 390, "height": 844})
    run = f"#/run/{run_id(site, 'good')}"
    compare = f"#/compare/{run_id(site, 'good')}/{run_id(site, 'fair')}"
    for address in ("#/table/12", "#/benchmark/demo-screens", "#/benchmark/pointbench", run, f"{run}/samples", compare):
        watched.go(address)
        watched.page.wait_for_timeout(100)
        assert watched.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address


def test_a_slice_whose_name_begins_as_another_s_is_filtered_by_its_own_values(watched: Watched, site: Path) -> None:
    watched.go(f"#/run/{run_id(site, 'pictures')}")
    watched.page.locator(".slices table", has_text="set=of").get_by_role("link", name="1", exact=True).click()
    watched.page.wait_for_selector("dl.facts")
    facts = watched.page.locator("main").inner_text().split()
    assert facts[facts.index("set=of") + 1] == "1"


def test_a_picture_is_drawn_with_target_and_answer(watched: Watched, site: Path) -> None:
    watched.go(f"#/run/{run_id(site, 'pictures')}/samples/1")
    page = watched.page
    page.wait_for_selector("svg.view image")
    loaded = """async () => {
        const picture = new Image();
        picture.src = document.querySelector("svg.view image").getAttribute("href");
        await picture.decode();
        return picture.naturalWidth;
    }"""
    assert page.evaluate(loaded) > 0
    assert page.locator("svg.view .marker.answer").count() == 1
    assert page.locator("svg.view path.target.over").count() >= 1
    whole = page.locator("svg.view").get_attribute("viewBox")
    page.keyboard.press("z")
    assert page.locator("svg.view").get_attribute("viewBox") != whole


def test_the_first_view_is_small_and_soon_there(watched: Watched) -> None:
    watched.go()  # the browser itself warms up
    sizes: list[int] = []
    watched.page.on("requestfinished", lambda request: sizes.append(size_of(request.url)))
    session = watched.page.context.new_cdp_session(watched.page)
    # The page's own work, in processor time: what the clock says depends on what else the machine does.
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def worked() -> float:
        return {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}[
            "TaskDuration"
        ]

    before = worked()
    watched.go()
    watched.page.wait_for_selector("table.results")
    assert 10_000 < sum(sizes) < 300_000
    assert worked() - before < 1.0


def size_of(url: str) -> int:
    from urllib.parse import unquote, urlparse

    path = Path(unquote(urlparse(url).path))
    return path.stat().st_size if path.is_file() else 0


def test_shares_are_rounded_as_the_tables_round_them(watched: Watched) -> None:
    watched.go()
    shares = [i / 80 for i in range(81)] + [i / 1600 for i in range(1601)] + [0.958497, 0.00045]
    shown = watched.page.evaluate("(shares) => shares.map(Site.dom.percent)", shares)
    assert shown == [f"{100 * share:.1f}" for share in shares]


def test_outlines_hold_exactly_the_mask(watched: Watched) -> None:
    """Every pixel's centre lies inside the path where the mask has it, holes and corners that touch included."""
    watched.go()
    inside = """([mask, width, height]) => {
        const path = new Path2D(Site.drawing.outline(mask));
        const context = document.createElement("canvas").getContext("2d");
        const found = [];
        for (let y = 0; y < height; y++)
            for (let x = 0; x < width; x++) found.push(context.isPointInPath(path, x + 0.5, y + 0.5, "evenodd"));
        return found;
    }"""
    draw = random.Random(0)
    for share in (0.0, 0.2, 0.5, 0.8, 1.0):
        height, width = draw.randint(1, 14), draw.randint(1, 14)
        mask = np.array([[draw.random() < share for _ in range(width)] for _ in range(height)])
        found = watched.page.evaluate(inside, [[height, width, encode(mask).counts], width, height])
        assert np.array_equal(np.array(found).reshape(height, width), mask), share
