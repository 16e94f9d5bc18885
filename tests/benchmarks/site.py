"""How long a reader of the site waits: ``python tests/benchmarks/site.py FOLDER``, with a built site. Needs Chromium.

From the start of the navigation to an explorer's first picture, from a local server, each time with an empty cache:
least and median, and the bytes that came before it (a server that compresses sends about a third).
"""

import functools
import http.server
import statistics
import sys
import threading
from pathlib import Path
from typing import Any

from mapping_lib.tools.pictures import CHROMIUM, FLAGS

PAGES = ("index.html", "01_mapping_view.html", "03_maml_code.html", "04g_what_came_after.html", "05_faq.html")
ROUNDS = 7
WATCH = """addEventListener("DOMContentLoaded", function look() {
    const explorer = document.querySelector("[data-explorer]");
    const drawn = explorer ? explorer.panel?.frame : !document.querySelector("[data-place]");
    if (drawn) globalThis.at = performance.now();
    else requestAnimationFrame(look);
})"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


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
    from playwright.sync_api import sync_playwright

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        found: dict[str, list] = {page: [] for page in PAGES}
        for _ in range(ROUNDS):
            for page in PAGES:
                found[page].append(once(browser, f"http://127.0.0.1:{server.server_port}/{page}"))
        browser.close()
    for page, runs in found.items():
        times = [waited for waited, _ in runs]
        print(f"{page:28s} {min(times):5.0f} / {statistics.median(times):5.0f} ms {runs[0][1]:6.0f} kB")
    server.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
