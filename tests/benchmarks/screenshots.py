"""Look at every explorer: a picture of each, in both themes, at all widths, in one folder.

Run from the repository root: python tests/benchmarks/screenshots.py OUT [NAME ...]
"""

import sys
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from front import chromium, opened, settle, show

from mapping_lib.page.explorer import explorers

WIDTHS, SCHEMES = (700, 1024, 1280, 1920), ("light", "dark")


def main() -> None:
    folder, names = Path(sys.argv[1]), sys.argv[2:]
    folder.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        for explorer in explorers():
            if names and explorer.name not in names:
                continue
            for width, scheme in product(WIDTHS, SCHEMES):
                with opened(browser, width, color_scheme=scheme) as page:
                    show(page, explorer)
                    settle(page)
                    page.wait_for_timeout(500)  # what is slow comes when the hand rests
                    page.screenshot(path=folder / f"{explorer.name}-{width}-{scheme}.png", full_page=True)
            print(explorer.name, flush=True)


if __name__ == "__main__":
    main()
