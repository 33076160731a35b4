"""The adapter for OpenAI-compatible servers, against a server in this process."""

from __future__ import annotations

import base64
import io
import json
import random
import signal
import ssl
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mpeval.errors import SampleError, UserError
from mpeval.media import Media
from mpeval.model_adapters import openai_compatible_requests as requests
from mpeval.model_adapters.openai_compatible import ApiModel, sent_size
from mpeval.model_adapters.openai_compatible_settings import Settings, read_settings
from mpeval.registry import load_model
from mpeval.store import find_runs
from mpeval.types import Elicitation, Point, Prediction, Query
from tests.model_adapters.openai_server import Server, first, serve

KEY = "sk-test-5f3a9c1e7d"
WIDTH, HEIGHT = 80, 40


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    pytest.importorskip("openai", reason="the openai client is not installed: pip install 'mpeval[api]'")
    monkeypatch.setenv("TEST_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody-else")
    # Half a second a client, for a server without TLS.
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda *_, **__: None)
    monkeypatch.setattr(requests, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(requests, "LONGEST_BACKOFF", 0.03)
    with serve() as running:
        yield running


def settings(url: str = "http://localhost:1/v1", **keys: Any) -> Settings:
    defaults: dict[str, Any] = dict(api_key_env="TEST_KEY", grammar="json", coordinates="thousandths", retries=3)
    return Settings(**{"base_url": url, "model": "pointer", **defaults, **keys})


def query(sample_id: str = "0", width: int = WIDTH, height: int = HEIGHT, pictures: int = 1) -> Query:
    stored = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), (222, 40, 40), np.uint8)).save(stored, format="PNG")
    sources = (stored.getvalue(),) * pictures
    media = Media("image" if pictures == 1 else "images", sources)
    return Query(sample_id, media, f"Point to {sample_id}", Elicitation("test", max_new_tokens=77))


def ask(model: ApiModel, *queries: Query) -> list[Prediction]:
    return model.generate([model.prepare(each) for each in queries or (query(),)])


def sent_pictures(server: Server) -> list[Image.Image]:
    urls = [part["image_url"]["url"] for part in server.asked[-1].body["messages"][0]["content"][:-1]]
    return [Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) for url in urls]


# --- what is asked and read -----------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
def test_one_question(server: Server, stream: bool) -> None:
    model = ApiModel(settings(server.url, stream=stream, prompt_suffix="Answer in JSON.", extra_body={"top_k": 1}))
    (prediction,) = ask(model)
    assert prediction.text == '[{"point_2d": [500, 250], "label": "it"}]'
    assert prediction.points == (Point(0.5 * WIDTH, 0.25 * HEIGHT),)
    assert (prediction.form, prediction.error, prediction.seen_size) == ("json-point", None, None)
    assert (prediction.prompt_tokens, prediction.generated_tokens) == (100, len(prediction.text))

    (asked,) = server.asked
    assert asked.key == f"Bearer {KEY}"
    assert asked.prompt == "Point to 0\nAnswer in JSON."
    expected = {"model": "pointer", "max_tokens": 77, "temperature": 0.0, "top_k": 1}
    assert {key: asked.body[key] for key in expected} == expected
    assert asked.body.get("stream", False) is stream
    (picture,) = sent_pictures(server)
    assert (picture.format, picture.size, picture.getpixel((3, 3))) == ("PNG", (WIDTH, HEIGHT), (222, 40, 40))


def test_fields_where_servers_differ(server: Server) -> None:
    own = dict(max_tokens_field="max_completion_tokens", max_tokens=4000, temperature="default", api_key_env=None)
    ask(ApiModel(settings(server.url, **own)))
    (asked,) = server.asked
    assert asked.body["max_completion_tokens"] == 4000
    assert asked.body.keys().isdisjoint({"max_tokens", "temperature"})
    assert "somebody" not in asked.key  # another server's key is not for this one


def test_pixels_refer_to_the_picture_that_was_sent(server: Server) -> None:
    server.answer = lambda prompt: "[20, 10]"
    limits = dict(coordinates="pixels", max_image_side=40, image_format="jpeg", prompt_suffix="({width}x{height})")
    (prediction,) = ask(ApiModel(settings(server.url, **limits)))
    assert prediction.seen_size == (40, 20)
    assert prediction.points == (Point(40, 20),)
    assert server.asked[-1].prompt.endswith("(40x20)")
    (picture,) = sent_pictures(server)
    assert (picture.format, picture.size) == ("JPEG", (40, 20))

    (prediction,) = ask(ApiModel(settings(server.url, coordinates_of="original", **limits)))
    assert prediction.seen_size is None
    assert prediction.points == (Point(20, 10),)
    assert server.asked[-1].prompt.endswith("(80x40)")


@pytest.mark.parametrize(
    ("size", "limit", "multiple", "expected"),
    [
        ((1000, 500), None, 1, (1000, 500)),
        ((1000, 500), 400, 1, (400, 200)),
        ((500, 1000), 400, 28, (196, 392)),
        ((1000, 500), None, 28, (1008, 504)),
        ((5000, 3), 100, 1, (100, 1)),
        ((2000, 500), 1000, 28, (980, 252)),
    ],
)
def test_sent_size(size, limit, multiple, expected) -> None:
    assert sent_size(size, settings(max_image_side=limit, image_side_multiple=multiple)) == expected


def test_several_pictures(server: Server) -> None:
    server.answer = lambda prompt: '<points coords="2 1 500 500">it</points>'
    model = ApiModel(settings(server.url, grammar="molmo2-coords"))
    (prediction,) = ask(model, query(pictures=2))
    assert prediction.points == (Point(40, 20, image=1, object_id="1"),)
    assert len(sent_pictures(server)) == 2


def test_an_answer_without_a_point_has_no_form(server: Server) -> None:
    server.answer = lambda prompt: "I see a red picture."
    (prediction,) = ask(ApiModel(settings(server.url)))
    assert (prediction.form, prediction.points, prediction.error) == (None, (), None)


# --- faults ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("fault", ["429", "500", "503", "cut", "short", "garbage", "slow"])
def test_what_may_yet_succeed_is_sent_again(server: Server, fault: str, stream: bool) -> None:
    server.faults = first(fault, fault)
    model = ApiModel(settings(server.url, stream=stream, timeout=0.2))
    (prediction,) = ask(model)
    assert (prediction.form, prediction.error) == ("json-point", None)
    assert [asked.fault for asked in server.asked] == [fault, fault, ""]
    assert "1 requests answered, 2 sent again" in model.summary()


def test_retry_after_is_honoured_by_all_threads(server: Server) -> None:
    server.faults, server.retry_after = first("429"), "0.3"
    model = ApiModel(settings(server.url, concurrency=1))
    predictions = ask(model, *(query(str(n)) for n in range(3)))
    assert all(prediction.error is None for prediction in predictions)
    assert server.asked[1].at - server.asked[0].at >= 0.29


def test_retry_after_as_a_date_and_too_long_a_wait(server: Server) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert requests._retry_after({"retry-after": later}) == pytest.approx(100, abs=2)
    assert requests._retry_after({"retry-after": "soon"}) is None
    assert requests._retry_after({"retry-after": "-1"}) == 0
    server.faults, server.retry_after = first("429"), "3600"
    (prediction,) = ask(ApiModel(settings(server.url)))
    assert prediction.error is not None and "asks to wait 3600 s" in prediction.error
    assert len(server.asked) == 1


@pytest.mark.parametrize(("fault", "attempts"), [("400", 1), ("500", 4), ("cut", 4)])
def test_what_fails_for_good_fails_alone(server: Server, fault: str, attempts: int) -> None:
    server.faults = lambda asked: fault if asked.prompt == "Point to 1" else ""
    predictions = ask(ApiModel(settings(server.url)), *(query(str(n)) for n in range(4)))
    assert [prediction.error is None for prediction in predictions] == [True, False, True, True]
    assert Counter(asked.prompt for asked in server.asked)["Point to 1"] == attempts
    assert KEY not in str(predictions[1].error)
    if attempts > 1:
        assert "after 4 attempts" in str(predictions[1].error)


@pytest.mark.parametrize(("fault", "hint"), [("401", "api_key_env"), ("404", "model and base_url"), ("quota", "quota")])
def test_what_fails_for_all_stops_with_one_line(server: Server, fault: str, hint: str) -> None:
    server.faults = lambda asked: fault
    model = ApiModel(settings(server.url, concurrency=1))
    for _ in range(2):
        with pytest.raises(UserError, match=hint) as error:
            ask(model, query("0"), query("1"))
        assert KEY not in str(error.value) and "[key]" in str(error.value)
        assert "\n" not in str(error.value)
    assert len(server.asked) == 1


def test_answers_before_a_key_is_refused_are_kept(server: Server) -> None:
    server.faults = lambda asked: "401" if asked.prompt == "Point to 2" else ""
    model = ApiModel(settings(server.url, concurrency=1))
    predictions = ask(model, *(query(str(n)) for n in range(4)))
    assert [prediction.error is None for prediction in predictions] == [True, True, False, False]
    with pytest.raises(UserError, match="refuses the API key"):
        ask(model)
    assert len(server.asked) == 3
    assert "refuses the API key" in model.summary()


def test_a_server_that_is_not_there(server: Server) -> None:
    model = ApiModel(settings("http://127.0.0.1:9/v1", retries=1))
    with pytest.raises(UserError, match=r"no answer from http://127.0.0.1:9/v1: is the server up\?"):
        ask(model)


def test_no_sample_is_lost_or_asked_again_after_success(server: Server) -> None:
    draw = random.Random(1)
    faults = ["", "", "", "429", "500", "cut", "short", "garbage"]
    server.faults = lambda asked: draw.choice(faults)
    server.answer = lambda prompt: f'{prompt}: [{{"point_2d": [500, 250]}}]'
    model = ApiModel(settings(server.url, concurrency=8, retries=30))
    for start in (0, 20):
        predictions = ask(model, *(query(str(n)) for n in range(start, start + 20)))
        texts = [prediction.text.partition(":")[0] for prediction in predictions]
        assert texts == [f"Point to {n}" for n in range(start, start + 20)]
    assert Counter(asked.prompt for asked in server.answered) == {f"Point to {n}": 1 for n in range(40)}
    assert len(server.asked) > 50  # the faults did happen
    assert f"40 requests answered, {len(server.asked) - 40} sent again; 4,000 tokens in" in model.summary()


# --- pace and cost --------------------------------------------------------------------------------


def test_requests_run_at_once_but_no_more_than_allowed(server: Server) -> None:
    server.seconds = 0.1
    ask(ApiModel(settings(server.url, concurrency=3)), *(query(str(n)) for n in range(9)))
    assert server.most_at_once == 3


def test_the_rate_limit_holds_with_retries(server: Server) -> None:
    interval = 0.2
    model = ApiModel(settings(server.url, concurrency=8, requests_per_minute=60 / interval))
    ask(model)  # what is slow only once does not count
    server.asked.clear()
    server.faults = first("500", "429")
    started = time.monotonic()
    predictions = ask(model, *(query(str(n)) for n in range(5)))
    assert all(prediction.error is None for prediction in predictions)
    assert len(server.asked) == 7
    # No request can be early, however late the threads of a busy machine are.
    arrivals = sorted(asked.at for asked in server.asked)
    assert all(at >= started + interval * number for number, at in enumerate(arrivals))


def test_cost(server: Server) -> None:
    model = ApiModel(settings(server.url, input_price=2.5, output_price=10.0))
    ask(model)
    text_tokens = len('[{"point_2d": [500, 250], "label": "it"}]')
    assert f"100 tokens in, {text_tokens} out, ${(100 * 2.5 + text_tokens * 10) / 1e6:.4f}" in model.summary()


# --- the file -------------------------------------------------------------------------------------

FILE = """
base_url = "https://api.example.com/v1"
model = "pointer"
grammar = "json"
coordinates = "thousandths"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "model.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda text: text + 'api_key = "sk-secret"', "unknown field `api_key`"),
        (lambda text: text + "concurrency = 0", "concurrency"),
        (lambda text: text + 'temperature = "hot"', "temperature"),
        (lambda text: text.replace('model = "pointer"', ""), "model"),
        (lambda text: text.replace('"json"', '"jsno"'), "unknown grammar 'jsno': did you mean 'json'"),
        (lambda text: text.replace('"thousandths"', '"inches"'), "coordinates"),
        (lambda text: text.replace('"json"', '"molmo2-coords"').replace("thousandths", "unit"), "in thousandths"),
        (lambda text: text.replace("https://", "https://me:sk-secret@"), "may hold no user"),
        (lambda text: text.replace("/v1", "/v1?key=sk-secret"), "may hold no user"),
        (lambda text: text.replace("https://", ""), "must be an address"),
        (lambda text: "base_url = ", "model.toml"),
        (lambda text: text + 'api_key_env = "sk-secret"', "not the key itself"),
        (lambda text: text + 'api_key_env = "SK_SECRET"', "is not set"),
    ],
)
def test_mistakes_in_the_file_are_one_line(tmp_path: Path, change: Callable[[str], str], error: str) -> None:
    pytest.importorskip("openai", reason="the openai client is not installed: pip install 'mpeval[api]'")
    with pytest.raises(UserError) as raised:
        load_model(f"api:{written(tmp_path, change(FILE))}")
    message = str(raised.value)
    assert error in message and "model.toml" in message
    assert "\n" not in message
    assert "secret" not in message.lower()


def test_a_missing_file_and_a_missing_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="give a TOML file as api:FILE"):
        load_model(f"api:{tmp_path / 'none.toml'}")
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(UserError, match=r"pip install 'mpeval\[api\]'"):
        load_model(f"api:{written(tmp_path, FILE)}")


def test_identity_is_what_decides_the_answers() -> None:
    def identity(**keys: Any) -> dict[str, Any]:
        return settings(**keys).identity()

    assert identity() == identity(concurrency=9, stream=False, timeout=5, retries=0, input_price=1)
    for changed in (dict(prompt_suffix="x"), dict(coordinates="unit"), dict(max_image_side=9), dict(temperature=1.0)):
        assert identity() != identity(**changed)
    assert KEY not in json.dumps(identity()) and "TEST_KEY" not in json.dumps(identity())


def test_examples_in_the_documentation_can_be_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/api-models.md").read_text()
    examples = [block.partition("```")[0] for block in page.split("```toml\n")[1:]]
    assert len(examples) >= 3
    for example in examples:
        read_settings(written(tmp_path, example))
    for key in Settings.__struct_fields__:
        assert f"`{key}`" in page


# --- the whole command ----------------------------------------------------------------------------


def test_a_run_through_a_server_that_misbehaves(server: Server, mpeval, tmp_path: Path) -> None:
    server.faults = first("429", "500", "cut", "garbage")
    toml = f"""
base_url = "{server.url}"
model = "org/pointer"
api_key_env = "TEST_KEY"
grammar = "json"
coordinates = "thousandths"
prompt_suffix = "Answer with [{{\\"point_2d\\": [x, y]}}], 0 to 1000."
concurrency = 2
input_price = 1.0
output_price = 1.0
"""
    out = tmp_path / "out"
    spec = f"api:{written(tmp_path, toml)}"
    command = ("run", "--model", spec, "--benchmark", "demo-photos", "--limit", 4, "--out", out)
    ended = mpeval(*command)
    assert ended.status == 0, ended.err
    assert "org/pointer" in ended.out and "n=4" in ended.out
    assert "4 requests answered, 4 sent again; 400 tokens in" in ended.err
    assert len(server.answered) == 4

    (run,) = find_runs([out])
    stored = b"".join(path.read_bytes() for path in run.rglob("*") if path.is_file())
    assert KEY.encode() not in stored and b"TEST_KEY" not in stored
    assert KEY not in ended.out + ended.err
    assert json.loads((run / "run.json").read_text())["identity"]["model"]["base_url"] == server.url

    assert mpeval(*command).status == 0
    assert len(server.answered) == 4  # nothing was asked again


def test_a_run_that_is_stopped_tells_its_cost(server: Server, mpeval, tmp_path: Path) -> None:
    """Ctrl-C with the second request at work: what was asked until then was paid for."""
    stop = iter([None, signal.SIGINT])

    def interrupt(asked: Any) -> str:
        if number := next(stop, None):
            signal.raise_signal(number)
        return ""

    server.faults = interrupt
    prices = "input_price = 1.0\noutput_price = 1.0\nconcurrency = 1\n"
    path = written(tmp_path, prices + FILE.replace("https://api.example.com/v1", server.url))
    ended = mpeval(
        "run", "--model", f"api:{path}", "--benchmark", "demo-photos", "--limit", 12, "--batch-size", 2, "--out",
        tmp_path / "out",
    )  # fmt: skip
    assert ended.status == 130
    assert "stopped" in ended.err
    assert f"{len(server.answered)} requests answered" in ended.err
    assert "$0.0" in ended.err
    assert 2 <= len(server.answered) < 12


def test_a_dry_run_names_what_is_wrong_with_the_settings(mpeval, tmp_path: Path) -> None:
    pytest.importorskip("openai", reason="the openai client is not installed: pip install 'mpeval[api]'")
    dry = ("run", "--benchmark", "demo-photos", "--dry-run", "--model")
    for broken, line in (
        (FILE.replace("json", "jason"), "grammar 'jason'"),
        ("model = ", "docs/api-models.md lists the keys"),
        (FILE + 'api_key_env = "UNSET_KEY_OF_NOBODY"', "the environment variable that api_key_env names is not set"),
    ):
        ended = mpeval(*dry, f"api:{written(tmp_path, broken)}")
        assert (ended.status, ended.err.count("\n")) == (2, 1)
        assert line in ended.err
    assert mpeval(*dry, f"api:{tmp_path / 'gone.toml'}").status == 2
    assert mpeval(*dry, f"api:{written(tmp_path, FILE)}").status == 0


def test_a_run_with_a_wrong_key_stops_at_once(server: Server, mpeval, tmp_path: Path) -> None:
    server.faults = lambda asked: "401"
    path = written(tmp_path, FILE.replace("https://api.example.com/v1", server.url) + 'api_key_env = "TEST_KEY"')
    ended = mpeval("run", "--model", f"api:{path}", "--benchmark", "demo-photos", "--limit", 4, "--out", tmp_path / "o")
    assert ended.status == 2
    assert ended.err.count("refuses the API key") == 1
    assert KEY not in ended.out + ended.err


def test_samples_that_fail_keep_their_reason(server: Server, mpeval, tmp_path: Path) -> None:
    server.faults = lambda asked: "400"
    path = written(tmp_path, FILE.replace("https://api.example.com/v1", server.url) + 'api_key_env = "TEST_KEY"')
    ended = mpeval("run", "--model", f"api:{path}", "--benchmark", "demo-photos", "--limit", 3, "--out", tmp_path / "o")
    assert ended.status == 1
    assert "3 of 3 samples FAILED" in ended.out
    assert KEY not in ended.out + ended.err


def test_a_pause_ends_when_everything_stops() -> None:
    pytest.importorskip("openai", reason="the openai client is not installed: pip install 'mpeval[api]'")
    client = requests.Client(settings(api_key_env=None))
    client._pace.pause(60)
    client.close()
    with pytest.raises(SampleError, match="stopped"):
        client.ask([], 1)
