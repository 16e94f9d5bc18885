"""How long a reader of the site waits: ``python tests/benchmarks/site.py FOLDER``, with a built site. Needs Chromium.

From the start of the navigation to an explorer's first picture, from a local server, each time with an empty cache:
least and median, and the bytes that came before it (a server that compresses sends about a third).
"""

import statistics
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))
from front import chromium, served

PAGES = ("index.html", "01_mapping_view.html", "03_maml_code.html", "04g_what_came_after.html", "05_faq.html")
ROUNDS = 7
WATCH = """addEventListener("DOMContentLoaded", function look() {
    const explorer = document.querySelector("[data-explorer]");
    const drawn = explorer ? explorer.panel?.frame : !document.querySelector("[data-place]");
    if (drawn) globalThis.at = performance.now();
    else requestAnimationFrame(look);
})"""


def once(browser: Any, address: str) -> tuple[float, float]:
    """Milliseconds until the first picture, and the kilobytes that had come."""
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    sizes = []
    page.on("requestfinished", lambda request: sizes.append(request.sizes()["responseBodySize"]))
    page.add_init_script(WATCH)
    page.goto(address)
    page.wait_for_function("() => globalThis.at")
    waited = page.evaluate("globalThis.at")
    page.wait_for_timeout(300)
    page.context.close()
    return waited, sum(sizes) / 1000


def main(folder: Path) -> None:
    """Print a line for each page; the pages take turns."""
    found: dict[str, list] = {page: [] for page in PAGES}
    with served(folder) as address, chromium() as browser:
        for _ in range(ROUNDS):
            for page in PAGES:
                found[page].append(once(browser, f"{address}/{page}"))
    for page, runs in found.items():
        times = [waited for waited, _ in runs]
        print(f"{page:28s} {min(times):5.0f} / {statistics.median(times):5.0f} ms {runs[0][1]:6.0f} kB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
