"""How long a reader waits, in JupyterLab in Chromium: ``python tests/benchmarks/latency.py``.

Twelve panels in one notebook: an empty one (a slider that swaps two blank pictures, the floor of what any
picture can do) and every explorer. Measured from the key press to the loaded new picture, interleaved.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import nbformat

sys.path.insert(0, str(Path(__file__).parent.parent))
import lab

BLANK = """
import io, ipywidgets as w
from PIL import Image
def png(shade):
    out = io.BytesIO()
    Image.new("RGB", (1060, 460), (255, 255, shade)).save(out, format="png", compress_level=1)
    return out.getvalue()
pictures = [png(254), png(255)]
image, slider = w.Image(value=pictures[0], format="png"), w.IntSlider(min=0, max=10**6)
slider.observe(lambda change: setattr(image, "value", pictures[change["new"] % 2]), names="value")
floor = w.VBox([slider, image]); floor.add_class("explorer-floor")
floor
"""
EXPLORERS = {
    "five-mappings": "mapping_view.explorer",
    "description-or-data": "other_mappings.explorer",
    "landscape": "maml_math.explorer",
    "adaptation": "maml_code.explorer_adaptation",
    "few-shot": "few_shot_images.explorer",
    "personalisation": "personalisation.explorer",
    "languages": "language.explorer",
    "navigation": "reinforcement_learning.explorer",
    "forgetting": "multitask_and_continual.explorer",
    "alpha-beta": "automl.explorer",
    "meta-training": "maml_code.explorer_meta_training",
}
"""Where each panel comes from, by its title."""

TITLES = [title for title in EXPLORERS if title != "meta-training"]
"""The explorers whose sliders are moved; meta-training's beta is timed by itself."""

OPEN = """
import torch; torch.set_num_threads(1)
from mapping_lib.chapters.{module} import explorer; explorer()
"""
CELLS = [BLANK, *(OPEN.format(module=module) for module in EXPLORERS.values())]

WATCH = """(title) => {
    const img = document.querySelector(`.explorer-${title} img`);
    window.news = [];
    window.watcher?.disconnect();
    const note = () => { if (img.complete && img.naturalWidth > 0) window.news.push(performance.now()); };
    img.addEventListener('load', note);
    window.watcher = { disconnect: () => img.removeEventListener('load', note) };
    window.addEventListener('keydown', () => { window.pressed = performance.now(); }, { capture: true });
    window.addEventListener('pointerup', () => { window.lifted = performance.now(); }, { capture: true });
    window.addEventListener('mousedown', () => { window.clicked = performance.now(); }, { capture: true });
}"""


def sliders(page, title: str) -> list:
    """The sliders of a panel."""
    return page.locator(f".explorer-{title}").get_by_role("slider").all()


def press(page, title: str, slider: int, key: str) -> float:
    """Move a slider by one key, the other way at its end; return the milliseconds until the new picture is there."""
    page.evaluate(WATCH, title)
    handle = sliders(page, title)[slider]
    now, low, high = (float(handle.get_attribute(f"aria-value{part}")) for part in ("now", "min", "max"))
    handle.focus()
    page.keyboard.press("ArrowLeft" if now == high else "ArrowRight" if now == low else key)
    page.wait_for_function("() => window.news.length > 0 && window.news.at(-1) > window.pressed", timeout=10_000)
    return page.evaluate("() => window.news.find(t => t > window.pressed) - window.pressed")


def row(name: str, ms: list[float]) -> str:
    ordered = sorted(ms)
    return f"{name:34s} median {statistics.median(ms):5.0f}   p95 {ordered[int(0.95 * (len(ms) - 1))]:5.0f} ms"


def moves(page, title: str, rounds: int) -> None:
    """One explorer against the floor: every slider in turn, on and on to values it has not had, and back at its end."""
    floor, ours, n = [], [], len(sliders(page, title))
    for i in range(rounds):
        floor.append(press(page, "floor", 0, "ArrowRight"))
        ours.append(press(page, title, i % n, "ArrowRight"))
    print(row("floor: an empty picture", floor))
    print(row(f"{title}: any slider", ours))
    ratio = [f(ours) / f(floor) for f in (statistics.median, lambda ms: sorted(ms)[int(0.95 * (len(ms) - 1))])]
    print(f"ratio to the floor: median {ratio[0]:.2f}, p95 {ratio[1]:.2f} (goals 2 and 1.5)")


def strokes(page, rounds: int) -> None:
    """Few-shot: from the end of a stroke on the pad to the picture with the new answer."""
    panel, ms = page.locator(".explorer-few-shot"), []
    for i in range(rounds):
        panel.get_by_role("button", name="clear", exact=True).click()
        page.wait_for_timeout(300)
        page.evaluate(WATCH, "few-shot")
        box = panel.locator("canvas").bounding_box()
        page.mouse.move(box["x"] + 40 + 5 * i, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] + 150, box["y"] + 40 + 5 * i, steps=10)
        page.mouse.up()
        page.wait_for_function("() => window.news.length > 0 && window.news.at(-1) > window.lifted", timeout=10_000)
        ms.append(page.evaluate("() => window.news.find(t => t > window.lifted) - window.lifted"))
    print(row("few-shot: end of a stroke", ms) + "   (goal 200)")


def playing(page, rounds: int) -> None:
    """Landscape: pictures a second while it plays, and how fast Stop acts."""
    rates, stops = [], []
    panel = page.locator(".explorer-landscape")
    for _ in range(rounds):
        panel.get_by_role("button", name="Reset", exact=True).click()
        page.wait_for_timeout(400)
        page.evaluate(WATCH, "landscape")
        panel.get_by_role("button", name="Play", exact=True).click()
        page.wait_for_timeout(1500)
        panel.get_by_role("button", name="Stop", exact=True).click()
        page.wait_for_timeout(600)
        news, clicked = page.evaluate("() => [window.news, window.clicked]")
        before = [t for t in news if t <= clicked]
        rates.append(1000 * (len(before) - 1) / (before[-1] - before[0]))
        stops.append(max(0, news[-1] - clicked))
    print(f"landscape plays: median {statistics.median(rates):.0f} pictures a second (goal 15)")
    print(row("landscape: last picture after Stop", stops) + "   (goal 150)")


def training(page, rounds: int) -> None:
    """Meta-training: first frame after a move of beta, frames a second, and how fast Stop acts."""
    first, seconds, rates, stops = [], [], [], []
    panel = page.locator(".explorer-meta-training")
    for i in range(rounds):
        first.append(press(page, "meta-training", 0, "ArrowRight" if i % 2 == 0 else "ArrowLeft"))
        panel.get_by_text("outer step 1000 of").wait_for(timeout=60_000)
        frames = page.evaluate("() => window.news.filter(t => t > window.pressed).map(t => t - window.pressed)")
        seconds.append(frames[-1] / 1000)
        rates.append(len(frames) / seconds[-1])
    for i in range(rounds):
        press(page, "meta-training", 0, "ArrowRight" if i % 2 == 0 else "ArrowLeft")
        time.sleep(0.3)
        panel.get_by_role("button", name="Stop", exact=True).click()
        page.wait_for_timeout(600)
        stops.append(page.evaluate("() => Math.max(0, window.news.at(-1) - window.clicked)"))
    print(row("meta-training: first frame after β", first) + "   (goal 200)")
    print(f"1,000 outer steps: median {statistics.median(seconds):.2f} s (goal 2.5)", end=", ")
    print(f"{statistics.median(rates):.0f} frames a second (goal 10)")
    print(row("last picture after Stop", stops) + "   (goal 150)")


def main() -> None:
    """Open JupyterLab with one notebook of all panels, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moves", type=int, default=60)
    parser.add_argument("--runs", type=int, default=8)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        notebooks, private = Path(folder, "notebooks"), Path(folder, "private")
        notebooks.mkdir(), private.mkdir()
        cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}  # without it JupyterLab asks
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), notebooks / "panels.ipynb")
        with lab.jupyterlab(notebooks, private) as address, lab.browser(private) as page:
            lab.open_notebook(page, address, "panels.ipynb")
            lab.run_all(page)
            page.wait_for_selector(".explorer-meta-training img")
            for title in TITLES:
                moves(page, title, arguments.moves)
            strokes(page, arguments.runs)
            playing(page, arguments.runs)
            training(page, arguments.runs)


if __name__ == "__main__":
    main()
