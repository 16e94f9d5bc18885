"""The site: it works from a disk and from a folder of a server, asks nobody else, and moves under a hand."""

import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urldefrag

import commands
import pytest
from front import chromium, moves, of, served, settle, something_moves, stroke
from house import ROOT
from pages import CHAPTERS, load
from playwright.sync_api import expect

from mapping_lib.page.explorer import explorers
from mapping_lib.tools.site import __main__ as site_command

LIVE = {explorer.name for explorer in explorers() if not explorer.kernel}
MOST_BYTES, MOST_OF_A_PAGE = 30_000_000, 1_000_000
SIZES = {"phone": (390, 844), "projector": (1024, 768), "desk": (1920, 1080)}
SAMPLE = [
    "index.html",
    "contents.html",
    "install.html",
    "02_maml_math.html",
    "03_maml_code.html",
    "04a_few_shot_images.html",
]
"""Pages of every kind: the others differ from these in their words alone."""

HEAVY = ["01_mapping_view.html", "04_applications.html", "04g_what_came_after.html", "03b_other_mappings.html"]
"""Pages with the largest explorers, and with the most pictures."""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The folder of the site, below one that a server may serve: as on a host's sub-path, and with a space."""
    if missing := [name for name in site_command.NEEDED if not find_spec(name)]:
        assert not os.environ.get("REQUIRE_BROWSER"), f"{missing[0]} is missing, and all checks are demanded"
        pytest.skip(f"{missing[0]} is not installed: pip install '.[site]'")
    out = tmp_path_factory.mktemp("host") / "元 学习"
    command = [sys.executable, "-m", "mapping_lib.tools.site", str(out)]  # in this process Sphinx's warnings are errors
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


# What is built ----------------------------------------------------------------------------------------


class Page(HTMLParser):
    """What a page of HTML has: ids, addresses by attribute, and its words."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids, self.leads, self.loads, self.words = {""}, [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list) -> None:
        given = dict(attrs)
        self.ids |= {given.get("id"), given.get("name") if tag == "a" else None}
        if tag == "a" and "href" in given:
            self.leads.append(given["href"])
        self.loads += [
            given[name] for name in ("src", "href") if name in given and tag != "a" and given[name][:1] != "#"
        ]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def pages(site) -> dict[str, Page]:
    return {path.name: Page(path) for path in sorted(site.glob("*.html"))}


def test_every_notebook_is_a_page(pages):
    names = {path.with_suffix(".html").name for path in ROOT.glob("notebooks/*.ipynb")}
    assert pages.keys() == names | {"index.html", "contents.html", "install.html", "search.html"}


def test_every_link_and_every_anchor_leads_somewhere(pages, site):
    lost = []
    for name, page in pages.items():
        for address in page.leads:
            path, anchor = map(unquote, urldefrag(address))
            if not re.match(r"https?:|mailto:", path):
                there = pages.get(path or name)
                if there is None or anchor not in there.ids:
                    lost.append((name, address))
        lost += [(name, file) for file in page.loads if not (site / unquote(file.partition("?")[0])).is_file()]
    assert not lost


def test_chapters_follow_one_another_and_what_deepens_one_leads_on(site):
    ways = {}
    for path in site.glob("0*.html"):
        found = re.search(r'<a class="next-page" href="([^"]+)"', path.read_text(encoding="utf-8"))
        ways[path.stem] = found[1].removesuffix(".html") if found else None
    readme = (ROOT / "README.md").read_text(encoding="utf-8").partition("## In a class")[0]
    rows = [re.findall(r"\]\(notebooks/(\w+)\.ipynb\)", line) for line in readme.splitlines() if line.startswith("|")]
    chapters = [row for row in rows if row and not row[0].startswith("05")]
    looked_up = next(row for row in rows if row and row[0].startswith("05"))
    firsts = [row[0] for row in chapters] + looked_up
    assert [ways[name] for name in firsts] == [*firsts[1:], None]
    for (_, *deeper), after in zip(chapters, firsts[1:], strict=False):
        assert [ways[name] for name in deeper] == [*deeper, after][1:]


def test_readers_see_solutions_and_no_teacher_s_note(pages):
    for path in CHAPTERS:
        words = "".join(pages[f"{path.stem}.html"].words)
        assert "For the teacher" not in words
        assert "Solution" in words
        assert "Shift+Enter" not in words.partition("References")[0], path.stem


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_exercises_show_their_stub_their_hint_and_a_folded_solution(pages, site, path: Path):
    words = " ".join("".join(pages[f"{path.stem}.html"].words).split())
    exercises = [cell for cell in load(path).nb.cells if "exercise" in cell.metadata.get("tags", [])]
    for cell in exercises:
        hint = cell.outputs[0].text.partition("Hint: ")[2].replace("`", "")
        assert hint
        assert all(" ".join(part.split()) in words for part in (cell.source, hint))
    html = (site / f"{path.stem}.html").read_text(encoding="utf-8")
    assert html.count("<summary>Solution</summary>") == html.count("<summary>Hint</summary>") == len(exercises) > 0


def test_every_explorer_has_its_place_once(site):
    text = "".join(path.read_text(encoding="utf-8") for path in site.glob("0*.html"))
    assert sorted(re.findall(r'data-place="([^"]+)"', text)) == sorted(LIVE)
    assert text.count('class="still"') == len(explorers()) - len(LIVE)


def test_formulas_are_mathml_without_a_word_of_tex(site):
    formulas = [
        one for path in site.glob("*.html") for one in re.findall(r"<math\b.*?</math>", path.read_text("utf-8"), re.S)
    ]
    assert len(formulas) > 300
    assert not [one for one in formulas if "\\" in one or "mathvariant" in one.replace('mathvariant="normal"', "")]


def test_pictures_have_words_and_sizes_and_wait_until_they_are_near(site):
    for path in site.glob("0*.html"):
        for tag in re.findall(r"<img [^>]*>", path.read_text(encoding="utf-8")):
            assert re.search(r' alt="[^"]{3,}"', tag), tag
            assert all(part in tag for part in (' width="', ' height="', ' loading="lazy"', ".webp")), tag


def test_the_site_is_small(site):
    assert sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) < MOST_BYTES


def test_an_earlier_build_is_replaced_and_nothing_else(site, tmp_path: Path):
    (tmp_path / "mine.txt").write_text("my work")
    done = commands.run(site_command.main, str(tmp_path), cwd=ROOT)
    assert done.returncode == 2
    assert "allowed: a new or an empty folder" in done.stderr
    assert (tmp_path / "mine.txt").read_text() == "my work"
    assert (site / ".nojekyll").exists()


def test_it_is_built_from_the_root(tmp_path: Path):
    done = commands.run(site_command.main, "out", cwd=tmp_path)
    assert done.returncode == 2
    assert "run this from the project's root" in done.stderr or "is not installed" in done.stderr


# In a browser -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def host(site) -> Iterator[str]:
    """The address of the site on a server, below a folder."""
    with served(site.parent) as address:
        yield f"{address}/{site.name}/"


@contextmanager
def reader(browser, width: int = 1280, height: int = 800, **context):
    """A page of a reader whom every other host refuses; a request to one, or an error, fails the test."""
    problems = []
    page = browser.new_context(viewport={"width": width, "height": height}, **context).new_page()

    def refuse(route) -> None:
        problems.append(f"asked {route.request.url}")
        route.abort()

    page.route(re.compile(r"^(?!file:|data:|blob:|http://127\.0\.0\.1)"), refuse)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    page.set_default_timeout(20_000)
    yield page
    page.context.close()
    assert not problems, problems


def places(site: Path) -> list[tuple[str, str]]:
    found = [
        (path.name, name)
        for path in sorted(site.glob("0*.html"))
        for name in re.findall(r'data-place="([^"]+)"', path.read_text("utf-8"))
    ]
    assert {name for _, name in found} == LIVE
    return found


def test_every_scene_of_the_first_page_is_one_that_its_explorer_can_play():
    build = pytest.importorskip("mapping_lib.tools.site.build", exc_type=ImportError)
    fields = next(explorer for explorer in explorers() if explorer.name == build.FIRST).specification()[0]["fields"]
    for scene in json.loads(build.TOUR.read_text(encoding="utf-8")):
        assert fields[scene["field"]]["low"] <= scene["to"] <= fields[scene["field"]]["high"]
        assert scene["says"].endswith(".")


@pytest.mark.browser
def test_every_live_explorer_moves_from_a_disk(site, browser):
    with reader(browser) as page:
        for name, explorer in places(site):
            page.goto((site / name).as_uri())
            page.locator(f"[data-place='{explorer}']").scroll_into_view_if_needed()
            page.wait_for_selector(f"[data-explorer='{explorer}']")
            settle(page, explorer)
            something_moves(page, explorer)


@pytest.mark.browser
@pytest.mark.parametrize("name", HEAVY)
def test_what_comes_before_the_first_scroll_is_small(site, host, browser, name: str):
    """As a server sends it: words compressed, pictures as they are."""
    with reader(browser) as page:
        asked = []
        page.on(
            "requestfinished", lambda request: asked.append(unquote(request.url).removeprefix(host).partition("?")[0])
        )
        page.goto(host + name)
        page.wait_for_selector("[data-explorer], .still")
        page.wait_for_load_state("networkidle")
    contents = [(site / file).read_bytes() for file in asked]
    sizes = [
        len(data) if file.endswith((".webp", ".woff2")) else len(gzip.compress(data))
        for file, data in zip(asked, contents, strict=True)
    ]
    assert 200_000 < sum(sizes) < MOST_OF_A_PAGE, dict(zip(asked, sizes, strict=True))


@pytest.mark.browser
def test_training_runs_in_a_worker_from_a_disk(site, browser):
    with reader(browser) as page:
        page.goto((site / "03_maml_code.html").as_uri())
        page.wait_for_selector("[data-explorer=alpha-beta-steps]")
        settle(page, "alpha-beta-steps")
        moves(page, "alpha-beta-steps", lambda: page.get_by_role("button", name="▶ train").click(), "training")


@pytest.mark.browser
@pytest.mark.parametrize("name", SAMPLE)
def test_a_page_fits_every_screen_and_has_no_serious_fault_for_those_who_do_not_see(site, host, browser, name: str):
    from axe_playwright_python.sync_playwright import Axe

    for (width, height), scheme in zip(SIZES.values(), ("light", "dark", "light"), strict=True):
        with reader(browser, width, height, color_scheme=scheme, reduced_motion="reduce") as page:
            page.goto(host + name)
            if page.locator("[data-place]").count():
                page.wait_for_selector("[data-explorer]")
                settle(page)
            too_wide = page.evaluate("document.scrollingElement.scrollWidth - innerWidth")
            assert too_wide <= 0, (name, width)
            if scheme == "dark" or width == 390:
                found = Axe().run(page).response["violations"]
                serious = [
                    (one["id"], [node["html"][:150] for node in one["nodes"][:3]])
                    for one in found
                    if one["impact"] in ("serious", "critical")
                ]
                assert not serious, (name, width)


@pytest.mark.browser
def test_the_first_page_moves_by_itself_until_it_is_touched(host, browser):
    with reader(browser) as page:
        page.goto(host + "index.html")
        button = page.get_by_role("button", name="pause")
        button.wait_for()
        start = state(page)
        page.wait_for_function(f"(start) => JSON.stringify({of('')}.state) !== start", arg=json.dumps(start))
        button.click()
        held = page.get_by_role("button", name="let it move")
        held.wait_for()
        page.wait_for_timeout(600)  # a step that was on its way
        still = state(page)
        page.wait_for_timeout(1200)
        assert state(page) == still
        held.click()
        page.wait_for_function(f"(still) => JSON.stringify({of('')}.state) !== still", arg=json.dumps(still))
        box = page.locator("[data-name=alpha]").bounding_box()
        stroke(page, (box["x"] + box["width"] / 2, box["y"] + 5), (box["x"] + box["width"] / 3, box["y"] + 5))
        held.wait_for()
        assert [page.get_by_role("link", name=name).count() for name in ("Begin", "Teach", "Install")] == [1, 1, 1]


@pytest.mark.browser
def test_the_first_page_is_still_where_less_motion_is_wished(host, browser):
    with reader(browser, reduced_motion="reduce") as page:
        page.goto(host + "index.html")
        page.get_by_role("button", name="let it move").wait_for()
        settle(page)
        start = state(page)
        page.wait_for_timeout(1500)
        assert state(page) == start


def state(page) -> dict:
    return json.loads(page.evaluate(f"JSON.stringify({of('')}.state)"))


@pytest.mark.browser
@pytest.mark.parametrize("where", ["disk", "host"])
def test_a_link_opens_an_explorer_just_so(site, host, browser, where: str):
    address = (site / "03_maml_code.html").as_uri() if where == "disk" else host + "03_maml_code.html"
    with reader(browser, permissions=["clipboard-read", "clipboard-write"]) as page:
        page.goto(f"{address}#alpha-beta-steps?alpha=0.1&steps=3")
        page.wait_for_selector("[data-explorer=alpha-beta-steps]")
        settle(page)
        assert (state(page)["alpha"], state(page)["steps"]) == (0.1, 3)
        page.locator("[data-name=steps]").press("ArrowRight")
        page.wait_for_url("**#alpha-beta-steps?alpha=0.1&steps=4")
        page.locator("button[data-label=copy]").click()
        link = page.get_by_role("textbox", name="this state as a link").input_value()
        assert link == page.url
        page.evaluate("location.hash = 'alpha-beta-steps?alpha=banana&steps=2'")
        page.get_by_text("which this explorer cannot follow").wait_for()
        assert (state(page)["alpha"], state(page)["steps"]) == (0.01, 2)
        page.goto("about:blank")
        page.goto(link)
        page.wait_for_selector("[data-explorer=alpha-beta-steps]")
        settle(page)
        assert (state(page)["alpha"], state(page)["steps"]) == (0.1, 4)


@pytest.mark.browser
def test_a_link_to_another_training_trains(host, browser):
    with reader(browser) as page:
        page.goto(f"{host}03_maml_code.html#alpha-beta-steps?beta=0.0060256")
        page.wait_for_selector("[data-explorer=alpha-beta-steps]")
        page.wait_for_function(f"() => {of('')}.frame?.done > 0")


@pytest.mark.browser
def test_every_page_fits_a_desk_and_a_phone(site, browser):
    for width in (1280, 390):
        with reader(browser, width, java_script_enabled=False) as page:
            for path in sorted(site.glob("*.html")):
                page.goto(path.as_uri())
                assert page.locator("html").evaluate("(all) => all.scrollWidth - innerWidth") <= 0, (path.name, width)


@pytest.mark.browser
def test_an_explorer_far_below_is_opened_by_its_link(host, browser):
    with reader(browser) as page:
        page.goto(host + "03a_maml_code_deeper.html#meta-training")
        page.wait_for_selector("[data-explorer=meta-training]")
        expect(page.locator("[data-explorer=meta-training]")).to_be_in_viewport()


@pytest.mark.browser
def test_a_prediction_takes_a_guess_and_hides_what_happened(host, browser):
    with reader(browser) as page:
        page.goto(host + "02_maml_math.html")
        asked = page.locator(".prediction[data-role=ask]").first
        name = asked.get_attribute("data-name")
        answer = page.locator(f".prediction[data-role=answer][data-name='{name}'] .said")
        expect(answer).to_contain_text("when you have made your guess")
        beside = page.locator(f".cell_output:has([data-name='{name}'][data-role=answer]) > div").first
        expect(beside).to_be_hidden()  # what the same cell prints would tell it
        asked.get_by_role("radio").first.click()
        expect(answer).to_contain_text("It was")
        expect(beside).to_be_visible()
        said = answer.inner_text()
        page.reload()
        expect(answer).to_have_text(said)  # the guess is still there


@pytest.mark.browser
def test_the_search_finds_a_word_from_a_disk(site, browser):
    with reader(browser) as page:
        page.goto((site / "contents.html").as_uri())
        page.get_by_role("textbox", name="Search").first.fill("hypernetwork")
        page.keyboard.press("Enter")
        page.locator("#search-results li a").nth(2).wait_for()  # they come one after the other


@pytest.mark.browser
def test_explorers_follow_the_theme_of_the_page(host, browser):
    with reader(browser, color_scheme="light") as page:
        page.goto(host + "03_maml_code.html")
        page.wait_for_selector("[data-explorer]")
        paper = lambda: page.evaluate(f"{of('')}.colours.dark")  # noqa: E731
        assert not paper()
        page.evaluate("document.body.dataset.theme = 'dark'")
        page.wait_for_function(f"() => {of('')}.colours.dark")
        page.evaluate("document.body.dataset.theme = 'auto'")
        page.wait_for_function(f"() => !{of('')}.colours.dark")


@pytest.mark.browser
def test_without_scripts_a_chapter_is_read_with_its_pictures(site, browser):
    with reader(browser, java_script_enabled=False) as page:
        page.goto((site / "03_maml_code.html").as_uri())
        assert page.locator("[data-place] noscript img").is_visible()
        assert page.locator("[data-place] noscript img").get_attribute("alt").startswith("α: how far a step goes")
