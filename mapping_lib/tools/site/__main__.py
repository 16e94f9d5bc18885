"""Build the site: ``python -m mapping_lib.tools.site OUT``, from the project's root."""

from importlib.util import find_spec
from pathlib import Path

from mapping_lib.console import command
from mapping_lib.tools.recording import NotebookError

NEEDED = ("sphinx", "myst_nb", "furo", "latex2mathml", "ziamath", "brotli")


def main() -> None:
    """Build the site into the folder that the command line names."""
    parser = command("mapping_lib.tools.site", "Build the whole suite as a static site.")
    parser.add_argument("out", type=Path, help="a new or an empty folder, or one that holds an earlier build")
    parser.add_argument("--source", default="", metavar="URL", help="where readers get the project itself")
    options = parser.parse_args()
    out = options.out
    if missing := [name for name in NEEDED if not find_spec(name)]:
        parser.error(f"{missing[0]} is not installed; the site needs what this installs: pip install '.[site]'")
    if not any(Path("notebooks").glob("*.ipynb")):
        parser.error("no notebook in notebooks/: run this from the project's root")
    from mapping_lib.tools.site.build import SiteError, build

    try:
        pages = build(Path.cwd(), out, options.source)
    except (SiteError, NotebookError, OSError) as error:
        parser.error(str(error))
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"{out}: {pages} pages, {size / 1e6:.1f} MB; open {out / 'index.html'}")


if __name__ == "__main__":
    main()
