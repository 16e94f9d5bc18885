"""The front end in a real Chromium, without a kernel: a page with one explorer, and its modules for tests of them."""

import functools
import http.server
import json
import math
import os
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from lab import CHROMIUM, FLAGS

from mapping_lib.page import front
from mapping_lib.page.explorer import Explorer

ORIGIN = "http://front.test"
"""Where the modules are, for `import`: nothing of it leaves the browser."""


def needs_chromium() -> None:
    """Skip where there is no Chromium, unless the checks demand one."""
    if not CHROMIUM:
        assert not os.environ.get("REQUIRE_BROWSER"), "Chromium is missing, and REQUIRE_BROWSER is set"
        pytest.skip("no Chromium on this machine")


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser, of which `opened` makes pages."""
    needs_chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Any, width: int = 1000, height: int = 800, **context: Any) -> Iterator[Any]:
    """A page that may import the modules of the front end; what goes wrong in it fails the test."""
    problems: list[str] = []
    page = browser.new_context(viewport={"width": width, "height": height}, **context).new_page()
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    page.set_default_timeout(20_000)
    page.route(f"{ORIGIN}/**", _serve)
    page.goto(f"{ORIGIN}/blank.html")
    yield page
    page.context.close()
    assert not problems, problems


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server of the files in a folder."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _serve(route: Any) -> None:
    name = route.request.url.rpartition("/")[2]
    path = front.FOLDER / name
    if path.suffix == ".js":
        route.fulfill(body=path.read_text(encoding="utf-8"), content_type="text/javascript")
    else:
        route.fulfill(body="<!doctype html><title>test</title>", content_type="text/html")


def show(page: Any, explorer: Explorer, **state: Any) -> None:
    """Put an explorer into the page, as the only thing there; the panel is `window.panel`."""
    spec, arrays = explorer.specification(**state)
    page.kernel = explorer  # answers what the page asks, as a kernel does
    if not getattr(page, "asks", False):
        page.expose_function("askKernel", lambda question: _answered(page.kernel, question))
        page.asks = True
    page.evaluate(
        """async ([style, spec, data]) => {
            window.panel?.close();
            document.head.innerHTML = `<style>${style}</style>`;
            document.body.innerHTML = "<div id=explorer></div>";
            const { mount } = await import("/hosts.js");
            const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
            const kernel = {
                on: (_, heard) => { kernel.heard = heard; },
                send: (question) => askKernel(question).then(([head, data]) => kernel.heard(head, [bytes(data)])),
            };
            window.panel = mount(document.getElementById("explorer"), JSON.parse(spec), bytes(data).buffer, kernel);
        }""",
        [front.style(), json.dumps(spec), b64encode(arrays).decode()],
    )
    settle(page)


def _answered(explorer: Explorer, question: dict[str, Any]) -> tuple[dict[str, Any], str]:
    head, data = explorer.answer(question["state"])
    return {"id": question["id"]} | head, b64encode(data).decode()


def settle(page: Any, name: str = "") -> None:
    """Wait until the present state of an explorer (of the only one) is drawn, its slow part too."""
    drawn = "(panel) => panel?.frame && !panel.computing && !panel.again && panel.rested"
    page.wait_for_function(f"() => ({drawn})({of(name)})", timeout=60_000)


def of(name: str) -> str:
    """The panel of an explorer, in JavaScript."""
    return f"document.querySelector('[data-explorer{f'={name}' if name else ''}]')?.panel"


def frames(page: Any, explorer: Explorer, states: list[Any], *, words_only: bool = False) -> list[dict[str, Any]]:
    """What the page computes for states, slow part and words included, as `compute` gives it.

    ``words_only``: without the slow part, and of each frame the words alone come back.
    """
    spec, arrays = explorer.specification()
    answers = page.evaluate(
        """async ([spec, data, states, wordsOnly]) => {
            const { ProgramSource } = await import("/sources.js");
            const { sentence, valuesOf } = await import("/sentence.js");
            const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0)).buffer;
            const source = new ProgramSource(spec, bytes);
            const answers = [];
            for (const state of states) {
                const slow = source.later && !wordsOnly ? await source.later(state) : {};
                const frame = { ...source.run(source.inputs(state)), ...slow };
                const words = sentence(spec.sentence, valuesOf(state, frame, spec.fields));
                const parts = Object.entries(frame);
                const written = ([name, { data, shape }]) => [name, shape, Array.from(data, String)];
                answers.push([words, wordsOnly ? [] : parts.map(written)]);
            }
            return answers;
        }""",
        [spec, b64encode(arrays).decode(), [asdict(state) for state in states], words_only],
    )
    return [
        {"": words} | {name: np.array(data, dtype=np.float32).reshape(shape) for name, shape, data in parts}
        for words, parts in answers
    ]


# Hands ----------------------------------------------------------------------------------------------------


def everything_moves(page: Any, name: str) -> None:
    """Move every control, press every button and drag every handle once: each changes what is seen."""
    root = page.locator(f"[data-explorer={name}]")
    root.scroll_into_view_if_needed()
    root.locator("details").evaluate_all("(all) => all.forEach((more) => { more.open = true; })")
    for control in root.locator("[data-name]").all():
        moves(page, name, lambda control=control: _move(control), control.get_attribute("data-name"))
        stop(page, name)
        root.locator("button[data-label=reset]").click()
        settle(page, name)
    for label in root.locator("button[data-label]").evaluate_all("(all) => all.map((button) => button.dataset.label)"):
        button = root.locator(f"button[data-label='{label}']")
        if button.is_enabled():
            button.click()
            page.evaluate(f"() => {of(name)}.stopPlaying()")
            settle(page, name)
            stop(page, name)
        assert root.locator(".said.wrong").count() == 0, label
    root.locator("button[data-label=reset]").click()
    settle(page, name)
    handles = page.evaluate(f"() => {of(name)}.picture.handles.map((h) => [Boolean(h.mark.drag), h.mark.choose])")
    for i, (drags, chooses) in enumerate(handles):
        if drags:
            moves(page, name, lambda i=i: _drag(page, name, i), f"handle {i}")
            stop(page, name)
        elif chooses:
            _drag(page, name, i)
            settle(page, name)
    root.locator("button[data-label=reset]").click()
    settle(page, name)


def stop(page: Any, name: str) -> None:
    """Stop a run that was seen: while it trains, the page has little time for what follows."""
    page.evaluate(f"() => {of(name)}.source.stop?.()")


def something_moves(page: Any, name: str) -> None:
    """Move the first control: it changes what is seen."""
    root = page.locator(f"[data-explorer={name}]")
    root.scroll_into_view_if_needed()
    control = root.locator("[data-name]").first
    moves(page, name, lambda: _move(control), control.get_attribute("data-name"))
    assert root.locator(".said.wrong").count() == 0
    root.locator("button[data-label=reset]").click()
    settle(page, name)


def moves(page: Any, name: str, act: Any, what: str) -> None:
    """Something that is done changes the picture or its words."""
    before, settled = seen(page, name), ""
    act()
    for _ in range(100):  # what trains, or asks a kernel, takes a moment
        settle(page, name)
        if (settled := seen(page, name)) != before:
            break
        page.wait_for_timeout(50)
    assert settled != before, what


def seen(page: Any, name: str = "") -> str:
    """The picture, its words, and what is drawn by hand."""
    return page.evaluate(
        f"""() => {{ const {{ canvas, said, sheet }} = {of(name)};
            const strokes = [...sheet.querySelectorAll("path")].map((path) => path.getAttribute("d"));
            return canvas.toDataURL() + said.textContent + strokes; }}"""
    )


def _move(control: Any) -> None:
    kind = control.evaluate("(c) => c.type")
    if kind == "range":
        at, high = control.evaluate("(c) => [Number(c.value), Number(c.max)]")
        control.focus()
        control.press("ArrowRight" if at < high else "ArrowLeft")
    elif kind == "select-one":
        at, n = control.evaluate("(c) => [Number(c.value), c.options.length]")
        control.select_option(index=(at + 1) % n)
    elif control.get_attribute("role") == "radiogroup":
        control.locator("input:not(:checked)").first.evaluate("(c) => c.click()")
    elif kind == "text":
        control.fill("Oslo")
    else:  # a square to draw on
        box = control.bounding_box()
        places = [(0.2, 0.3), (0.5, 0.8), (0.9, 0.4)]
        stroke(control.page, *((box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in places))


def _drag(page: Any, name: str, index: int) -> None:
    """Drag a handle inwards, and so far that what stands on days, or on cells, comes to another one."""
    handle = f"{of(name)}.picture.handles[{index}]"
    x, y, middle = page.evaluate(f"() => (({{ x, y, axes }}) => [x, y, axes.left + axes.width / 2])({handle})")
    way = 1 if x < middle else -1
    canvas = page.locator(f"[data-explorer={name}] canvas").first
    canvas.evaluate("(canvas) => canvas.scrollIntoView({ block: 'center' })")
    box = canvas.bounding_box()
    left, top = box["x"] + x, box["y"] + y
    stroke(page, (left, top), (left + 2 * way, top - 4), (left + 60 * way, top - 17))


def stroke(page: Any, *points: tuple[float, float]) -> None:
    """With the mouse from point to point, its button down."""
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point)
    page.mouse.up()


def any_state(State: type, rng: Random) -> Any:
    """A state that a reader's hand can make: each slider at one of its steps, each choice at one of its options."""
    values, lengths = {}, {}
    for part in fields(State):
        about = part.metadata
        if about["kind"] == "choice":
            values[part.name] = rng.choice(about["options"])[0]
        elif about["kind"] == "box":
            values[part.name] = part.default
        elif about["kind"] == "pad":
            values[part.name] = tuple(_any_drawing(rng) for _ in about["places"])
        elif about["kind"] == "numbers":
            n = lengths[part.name] if part.name in lengths else rng.randint(about["least"], about["most"])
            lengths |= dict.fromkeys(about["beside"], n)
            values[part.name] = tuple(_any_step(about, rng, float) for _ in range(n))
        else:
            values[part.name] = _any_step(about, rng, type(part.default))
    return State(**values)


def _any_drawing(rng: Random) -> tuple:
    """No stroke, or up to three of one to four points."""
    point = lambda: (round(rng.random(), 3), round(rng.random(), 3))  # noqa: E731
    return tuple(tuple(point() for _ in range(rng.randint(1, 4))) for _ in range(rng.randint(0, 3)))


def _any_step(about: dict, rng: Random, kind: type) -> Any:
    low, high, step = about["low"], about["high"], about["step"]
    log = about.get("log")
    steps = rng.randint(0, round((math.log10(high / low) if log else high - low) / step))
    value = float(f"{10 ** (math.log10(low) + steps * step):.6g}") if log else round(low + steps * step, 9)
    return kind(value)
