"""Build the site with Sphinx: its sources from notebooks and README, then its pages, explorers, pictures and fonts."""

import re
import shutil
from collections.abc import Iterable
from html import escape
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from sphinx.application import Sphinx

from mapping_lib.page import front
from mapping_lib.page.explorer import Explorer, explorers
from mapping_lib.tools.editions import check_free
from mapping_lib.tools.recording import read
from mapping_lib.tools.site.chapters import Pictures, for_site, with_pages_below
from mapping_lib.tools.site.mathematics import font_for

LOOK = Path(__file__).parent / "look"
LINK = re.compile(r"\]\(notebooks/(\w+)\.ipynb\)")
ELSEWHERE = re.compile(r"\[([^\]]+)\]\((?!\w+\.ipynb|https?:)[^)]+\)")
EARLIER = ".nojekyll"
"""The file by which a build is known; it also tells GitHub's pages to serve folders that begin with "_"."""

GET = "The project is at [{source}]({source}): download it there, or `git clone {source}`."
ASK = "You need the project's folder: ask for it where you got the address of these pages."
LEFT_OUT = ("genindex.html", "objects.inv", ".buildinfo", "*.map", "*.LICENSE.txt")
FIRST = "alpha-beta-steps"
"""The explorer of the first page."""

TOUR = LOOK / "tour.json"
"""How it moves by itself: fields, where each walks to, ms for a step of its slider, ms of rest behind it, and why."""

WIDTHS = {"max-width:63em": "max-width:70em", "max-width:82em": "max-width:104em"}
"""Where the theme folds its columns, of contents to the left and of headings to the right, and where we do, so that an
explorer has room: on 1024 pixels neither stands beside it, on 1280 the left one alone."""

NAMED = {
    ' aria-label="Toggle hidden content"': "",
    '<aside class="sidebar-drawer"': '<aside class="sidebar-drawer" aria-label="all pages"',
    '<aside class="toc-drawer': '<aside aria-label="on this page" class="toc-drawer',
}
WORDS = re.compile(r">[^<>]*[\u4e00-\u9fff][^<>]*<(?!/(?:script|style|title))")
HAN = re.compile(r"[\u4e00-\u9fff]+")

SETTINGS = {
    "project": "Everything is a mapping",
    "extensions": ["myst_nb", "mapping_lib.tools.site.mathematics"],
    "root_doc": "contents",
    "language": "en",
    "myst_enable_extensions": ["dollarmath"],
    "myst_heading_anchors": 6,
    "myst_heading_slug_func": "mapping_lib.tools.site.build.slug",
    "nb_execution_mode": "off",
    "nb_merge_streams": True,
    "nb_code_prompt_show": "show the code",
    "nb_code_prompt_hide": "hide the code",
    "suppress_warnings": ["myst.xref_missing"],  # anchors in HTML, which it does not see; a test follows every link
    "html_theme": "furo",
    "html_math_renderer": "mathml",
    "html_title": "Everything is a mapping",
    "html_static_path": [str(LOOK / "static")],
    "html_favicon": str(LOOK / "static" / "icon.svg"),
    "html_css_files": ["explorers/explorers.css", "site.css"],
    "html_js_files": [("explorers/site.js", {"defer": "defer"})],
    "html_additional_pages": {"index": "first.html"},
    "html_copy_source": False,
    "html_show_sphinx": False,
    "html_show_copyright": False,
    "html_use_index": False,
    "templates_path": [str(LOOK)],
}


class SiteError(RuntimeError):
    """The site cannot be built: the message says why."""


def slug(heading: str) -> str:
    """The anchor of a heading, as JupyterLab makes it: links between notebooks hold here, too.

    >>> slug("Why a few examples are hard")
    'Why-a-few-examples-are-hard'
    """
    return heading.replace(" ", "-")


def build(root: Path, out: Path, source: str = "") -> int:
    """Build the site of the project in ``root`` into the folder ``out``; return how many pages it has.

    ``source`` is the address where readers get the project itself.
    Raises FileExistsError where ``out`` holds something else, NotebookError for a file that is no notebook, and
    SiteError, with Sphinx's words, for what Sphinx warns of.
    """
    if not (out / EARLIER).exists():
        check_free(out, "out")
    made = {explorer.name: explorer for explorer in explorers()}
    with TemporaryDirectory() as folder:
        sources, pages = Path(folder, "sources"), Path(folder, "pages")
        readme = (root / "README.md").read_text(encoding="utf-8")
        below = rows(section(readme, "Chapters"))
        live = {name for name, explorer in made.items() if not explorer.kernel}
        pictures = write_chapters(root / "notebooks", sources, below, live)
        write_words(readme, sources, below, source)
        run_sphinx(sources, pages, Path(folder, "trees"), ways(below), pictures.places[FIRST])
        write_parts(pages, pictures, made.values())
        shutil.rmtree(out, ignore_errors=True)
        shutil.move(pages, out)
    return len(list(out.glob("*.html")))


def write_chapters(notebooks: Path, sources: Path, below: dict[str, list[str]], live: set[str]) -> Pictures:
    """Write all chapters as Sphinx reads them; return their pictures."""
    sources.mkdir()
    pictures = Pictures()
    for path in sorted(notebooks.glob("*.ipynb")):
        nb = with_pages_below(for_site(read(path), live.__contains__, pictures), below.get(path.stem, []))
        (sources / path.name).write_text(nbformat.writes(nb), encoding="utf-8")
    return pictures


def write_words(readme: str, sources: Path, below: dict[str, list[str]], source: str) -> None:
    """Write the contents and the installation, which are the README's, as Sphinx reads them."""
    tree = "\n".join(["```{toctree}", ":hidden:", "", "Contents <self>", *below, "install", "```"])
    contents = ELSEWHERE.sub(r"\1", LINK.sub(r"](\1.ipynb)", section(readme, "Chapters")))
    (sources / "contents.md").write_text(f"# Contents\n\n{contents}\n\n{tree}\n", encoding="utf-8")
    where = GET.format(source=source) if source else ASK
    install = f"# Read it on your computer\n\n{where}\n\n{section(readme, 'Read it')}\n"
    (sources / "install.md").write_text(install, encoding="utf-8")


def section(readme: str, title: str) -> str:
    """What stands below a heading of the second level.

    >>> section("# A\\n\\n## B\\n\\nWords.\\n\\n## C\\n", "B")
    'Words.'
    """
    return re.split(r"^## ", readme.partition(f"\n## {title}\n")[2], flags=re.MULTILINE)[0].strip()


def rows(table: str) -> dict[str, list[str]]:
    """The pages in the order of a table of links, each with those that deepen it; to look things up has none.

    >>> rows("| [1](notebooks/01.ipynb) · deeper: [1b](notebooks/01b.ipynb) |\\n| [5](notebooks/05.ipynb) |")
    {'01': ['01b'], '05': []}
    """
    found: dict[str, list[str]] = {}
    for line in table.splitlines():
        first, *rest = LINK.findall(line) or [""]
        if first and "deeper:" in line:
            found[first] = rest
        elif first:
            found |= {name: [] for name in (first, *rest)}
    return found


def ways(below: dict[str, list[str]]) -> dict[str, tuple[str, str]]:
    """The page before and the page after each: from a chapter to the next; what deepens it leads back to it, and on.

    >>> ways({"1": ["1b", "1c"], "2": []})
    {'1': ('', '2'), '1b': ('1', '1c'), '1c': ('1b', '2'), '2': ('1', '')}
    """
    found, chapters = {}, list(below)
    for before, name, after in zip(["", *chapters], chapters, [*chapters[1:], ""], strict=False):
        row = [name, *below[name], after]
        found[name] = (before, after)
        found |= {page: (row[i], row[i + 2]) for i, page in enumerate(below[name])}
    return found


def run_sphinx(sources: Path, pages: Path, trees: Path, ways: dict[str, tuple[str, str]], first: str) -> None:
    """Sphinx's part; raises SiteError with its first warning."""
    heard = StringIO()
    place = first.replace("<div ", f'<div data-tour="{escape(TOUR.read_text(encoding="utf-8"))}" ', 1)
    settings = SETTINGS | {"html_context": {"first": FIRST, "place": place}}
    app = Sphinx(str(sources), None, str(pages), str(trees), "html", settings, status=None, warning=heard)

    def lead(app: Sphinx, name: str, template: str, context: dict, tree: object) -> None:
        for word, page in zip(("prev", "next"), ways.get(name, ()), strict=False):
            context[word] = {"link": f"{page}.html", "title": app.env.titles[page].astext()} if page else None

    app.connect("html-page-context", lead)
    app.build(force_all=True)
    if warnings := heard.getvalue().strip():
        raise SiteError(f"Sphinx warns: {warnings.splitlines()[0]}")


def write_parts(pages: Path, pictures: Pictures, made: Iterable[Explorer]) -> None:
    """Write what is beside the pages, and take away what no reader needs."""
    folders = {name: pages / "_static" / name for name in ("pictures", "explorers", "fonts")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    for name, data in pictures.items():
        (folders["pictures"] / name).write_bytes(data)
    for explorer in made:
        if not explorer.kernel:
            text = front.script_of_explorer(*explorer.specification())
            (folders["explorers"] / f"{explorer.name}.js").write_text(text, encoding="utf-8")
    (folders["explorers"] / "site.js").write_text(front.script_of_site(), encoding="utf-8")
    (folders["explorers"] / "explorers.css").write_text(front.style() + front.style_of_predictions(), encoding="utf-8")
    style = pages / "_static" / "styles" / "furo.css"
    style.write_text(with_widths(style.read_text(encoding="utf-8")), encoding="utf-8")
    texts = {path: finished(path.read_text(encoding="utf-8")) for path in pages.glob("*.html")}
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    (folders["fonts"] / "mathematics.woff2").write_bytes(font_for(texts.values()))
    for pattern in LEFT_OUT:
        for path in pages.rglob(pattern):
            path.unlink()
    (pages / EARLIER).touch()


def finished(page: str) -> str:
    """A page with names for its two columns, folds named by their own words, and Chinese words called Chinese.

    >>> finished("<td>元学习 (meta)</td>")
    '<td><span lang="zh">元学习</span> (meta)</td>'
    """
    for theirs, ours in NAMED.items():
        page = page.replace(theirs, ours)
    return WORDS.sub(lambda words: HAN.sub(r'<span lang="zh">\g<0></span>', words[0]), page)


def with_widths(style: str) -> str:
    """The theme's style sheet with our `WIDTHS`; raises SiteError where it has other ones than those we know."""
    for theirs, ours in WIDTHS.items():
        if theirs not in style:
            raise SiteError(f"the theme's style sheet has no {theirs!r}; look at WIDTHS anew")
        style = style.replace(theirs, ours)
    return style
