"""How long a reader waits, in JupyterLab in Chromium: ``python tests/benchmarks/latency.py [NAME ...] [--rounds 60]``.

One notebook: a bare canvas that its own slider fills with a colour (the least that any picture can take), and the
explorers. Measured from the key press to the frame of the screen after the drawing, in turns, every move to a value
that the slider has not had. Then meta-training: how long 1,000 outer steps take, pictures a second, and Stop.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import nbformat

sys.path.insert(0, str(Path(__file__).parent.parent))
import lab
from front import of, settle

from mapping_lib.page.explorer import explorers

BARE = '''
import anywidget
class Bare(anywidget.AnyWidget):
    _esm = """export default { render({ el }) {
        el.className = "bare";
        el.innerHTML = "<input type=range max=100000 data-lm-suppress-shortcuts=true><br><canvas></canvas>";
        const [slider, , canvas] = el.children;
        Object.assign(canvas, { width: 1000, height: 340 });
        slider.oninput = () => requestAnimationFrame(() => {
            const g = canvas.getContext("2d");
            g.fillStyle = slider.value % 2 ? "white" : "#eee";
            g.fillRect(0, 0, 1000, 340);
            window.drawn?.();
        });
    } }"""
Bare()
'''
WATCH = """() => {
    window.times = [];
    window.drawn = () => requestAnimationFrame(() => {
        const channel = new MessageChannel(); // its message comes when the frame has been handed over
        channel.port1.onmessage = () => {
            if (window.pressed) window.times.push(performance.now() - window.pressed);
            window.pressed = 0;
        };
        channel.port2.postMessage(0);
    });
    if (!window.watched) addEventListener("keydown", () => { window.pressed = performance.now(); }, { capture: true });
    window.watched = true;
}"""


def press(page, slider) -> float:
    """The milliseconds from a key press on a slider to the picture."""
    n = page.evaluate("() => window.times.length")
    slider.focus()
    high, at = (float(slider.evaluate(f"(s) => s.{part}")) for part in ("max", "value"))
    page.keyboard.press("ArrowRight" if at < high else "Home")
    page.wait_for_function(f"() => window.times.length > {n}", timeout=20_000)
    return page.evaluate("() => window.times.at(-1)")


def p95(ms: list[float]) -> float:
    return sorted(ms)[int(0.95 * (len(ms) - 1))]


def moves(page, name: str, rounds: int) -> None:
    """One explorer against the bare canvas: each slider in turn."""
    settle(page, name)
    root = page.locator(f"[data-explorer={name}]")
    root.locator("details").evaluate_all("(all) => all.forEach((more) => { more.open = true; })")
    page.evaluate(f"() => {{ {of(name).replace('?.', '.')}.host.drawn = () => window.drawn(); }}")
    sliders = root.locator("input[type=range]").all()
    floor, ours = [], []
    for i in range(rounds):
        floor.append(press(page, page.locator(".bare input")))
        ours.append(press(page, sliders[i % len(sliders)]))
    ratio = [f(ours) / f(floor) for f in (statistics.median, p95)]
    print(
        f"{name:20} {statistics.median(ours):5.0f} / {p95(ours):5.0f} ms, bare canvas {statistics.median(floor):5.0f} /"
        f" {p95(floor):5.0f} ms; ratios {ratio[0]:.2f} and {ratio[1]:.2f} (goals 2 and 2)",
        flush=True,
    )


def training(page, rounds: int = 3) -> None:
    """Meta-training from Train to its end, pictures a second, and the last picture after Stop."""
    name = "meta-training"
    root = page.locator(f"[data-explorer={name}]")
    train, panel = root.locator("button.main"), of(name).replace("?.", ".")
    page.evaluate(
        f"() => {{ window.pictures = []; {panel}.host.drawn = () => window.pictures.push(performance.now()); }}"
    )
    whole, rates, stops = [], [], []
    for _ in range(rounds):
        root.locator("button[data-label=reset]").click()
        page.wait_for_timeout(500)
        begun = page.evaluate("() => { window.pictures = []; return performance.now(); }")
        train.click()
        page.wait_for_function(f"() => {panel}.frame.done === 1000", timeout=120_000)
        whole.append(page.evaluate("() => window.pictures.at(-1)") - begun)
        rates.append(1000 * page.evaluate("() => window.pictures.length") / whole[-1])
        root.locator("button[data-label=reset]").click()
        train.click()
        page.wait_for_timeout(700)
        stopped = train.evaluate("(button) => { button.click(); return performance.now(); }")
        page.wait_for_timeout(600)
        stops.append(max(0.0, page.evaluate("() => window.pictures.at(-1)") - stopped))
    seconds, rate = statistics.median(whole) / 1000, statistics.median(rates)
    print(f"1,000 outer steps: median {seconds:.2f} s (goal 5), {rate:.0f} pictures a second (goal 20)")
    print(f"last picture after Stop: median {statistics.median(stops):.0f} ms, worst {max(stops):.0f} (goal 100)")


def main() -> None:
    """Open the notebook and measure."""
    names = {explorer.name: explorer for explorer in explorers()}
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("names", nargs="*", choices=[[], *names], default=[])
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args()
    chosen = options.names or list(names)
    cells = [BARE] + [f"from {names[name].State.__module__} import explorer; explorer()" for name in chosen]
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as private:
        metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
        nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata=metadata)
        nbformat.write(nb, Path(folder) / "latency.ipynb")
        with lab.jupyterlab(Path(folder), Path(private)) as address, lab.browser(Path(private)) as page:
            lab.open_notebook(page, address, "latency.ipynb")
            lab.run_all(page)
            page.evaluate(WATCH)
            for name in chosen:
                moves(page, name, options.rounds)
            if "meta-training" in chosen:
                training(page)


if __name__ == "__main__":
    main()
