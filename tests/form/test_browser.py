"""Explorers in a real JupyterLab in a real Chromium, with a kernel.

That each explorer's picture answers to every control is asked without a kernel, too (tests/page). Here one notebook
opens them all, as a class that wants only the explorers would.
"""

import os
from pathlib import Path

import lab
import nbformat
import pytest
from front import everything_moves, of, seen, settle, something_moves
from house import ROOT
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from mapping_lib.page.explorer import explorers
from mapping_lib.tools import editions, recording

pytestmark = pytest.mark.browser

ALL = {explorer.name: explorer for explorer in explorers()}
MOVED = {name for name, explorer in ALL.items() if explorer.kernel} | {"landscape", "meta-training"}
"""What is moved wholly in JupyterLab, too: what needs a kernel, one long run, and of the others every kind of hand."""

KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}


def opens(name: str) -> str:
    variable = name.replace("-", "_")
    return f"from {ALL[name].State.__module__} import explorer\n{variable} = explorer()\n{variable}"


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    """A notebook with a cell for each explorer, all run, in a page as wide as a laptop's."""
    folder, private = tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("private")
    cells = [new_code_cell(opens(name)) for name in ALL]
    cells += [new_code_cell("print(adaptation.alpha, adaptation.state.steps)"), new_code_cell("adaptation.alpha = 0.1")]
    cells += [new_markdown_cell("[elsewhere](other.ipynb#elsewhere)")]
    nbformat.write(new_notebook(cells=cells, metadata=KERNEL), folder / "all.ipynb")
    nbformat.write(new_notebook(cells=long_way(), metadata=KERNEL), folder / "other.ipynb")
    chapter = nbformat.read(ROOT / "notebooks" / "04_applications.ipynb", nbformat.NO_CONVERT)
    (folder / "class.ipynb").write_text(recording.serialised(editions.teacher(chapter)))
    with lab.jupyterlab(folder, private) as address, lab.browser(private) as page:
        page.set_default_timeout(30_000)
        lab.open_notebook(page, address, "all.ipynb")
        for i in range(len(ALL)):
            run_cell(page, i)
        yield page


def long_way() -> list:
    """Cells that take JupyterLab a while to draw, with a place in a folded part far down."""
    texts = [new_markdown_cell("\n\n".join(f"Line {i}." for i in range(20))) for _ in range(60)]
    place = new_markdown_cell('<details><summary>More</summary>\n\n<a id="elsewhere"></a>Here.\n\n</details>')
    return [*texts[:30], place, *texts[30:]]


def go_back(page) -> None:
    """Show the notebook of all explorers again."""
    page.evaluate(
        """() => { const { shell } = window.jupyterapp;
            shell.activateById([...shell.widgets("main")].find((widget) => widget.title.label === "all.ipynb").id); }"""
    )


def run_cell(page, index: int) -> None:
    page.evaluate(
        """(index) => { const notebook = window.jupyterapp.shell.currentWidget.content;
            notebook.activeCellIndex = index;
            return window.jupyterapp.commands.execute("notebook:run-cell").then(() => true); }""",
        index,
    )
    lab.wait_until_idle(page)


def printed(page, index: int) -> str:
    run_cell(page, index)
    return page.locator(".jp-CodeCell").nth(index).locator(".jp-OutputArea-output").inner_text().strip()


@pytest.fixture
def pictures(tmp_path) -> Path:
    """Where screenshots go: the folder named by SCREENSHOTS, or a temporary one."""
    folder = Path(os.environ.get("SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.parametrize("name", ALL)
def test_everything_that_moves_changes_the_picture(notebook, name, pictures):
    """All of those in `MOVED`. The others run the program that they run without JupyterLab: one hand shows they do."""
    settle(notebook, name)
    if name in MOVED:
        everything_moves(notebook, name)
    else:
        something_moves(notebook, name)
    notebook.locator(f"[data-explorer={name}]").screenshot(path=pictures / f"{name}.png")


KINDS = """(root) => [
    ...[...root.querySelectorAll("[data-name]")].map((control) => control.getAttribute("role") ?? control.type),
    ...root.panel.picture.handles.flatMap(({ mark }) => [mark.drag && "drag", mark.choose && "choose"]),
].filter(Boolean)"""


def test_what_is_moved_in_jupyterlab_has_every_kind_of_control_and_handle(notebook):
    kinds = {}
    for name in ALL:
        settle(notebook, name)
        kinds[name] = set(notebook.locator(f"[data-explorer={name}]").evaluate(KINDS))
    assert set.union(*kinds.values()) == set.union(*(kinds[name] for name in MOVED))
    assert {"range", "drag"} <= kinds["landscape"]


MESSAGES = """() => {
    const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
    window.sent = 0;
    window.count ??= kernel.anyMessage.connect((_, { direction, msg }) => {
        if (direction === "send" && msg.header.msg_type === "comm_msg") window.sent += 1;
    });
}"""


def test_while_a_slider_moves_nothing_is_sent_and_then_the_state_once(notebook):
    notebook.evaluate(MESSAGES)
    sent = notebook.locator("[data-explorer=adaptation] [data-name=alpha]").evaluate(
        """async (slider) => {
            for (let i = 0; i < 20; i++) {
                slider.value = Number(slider.value) + 1;
                slider.dispatchEvent(new Event("input"));
                await new Promise(requestAnimationFrame);
            }
            return window.sent;
        }"""
    )
    assert sent == 0
    notebook.wait_for_function("() => window.sent")
    notebook.wait_for_timeout(1000)
    assert notebook.evaluate("() => window.sent") == 1
    alpha = notebook.evaluate(f"() => {of('adaptation')}.state.alpha")
    assert printed(notebook, len(ALL)) == f"{alpha} 5"


def test_what_a_cell_sets_is_seen_at_once(notebook):
    before = seen(notebook, "adaptation")
    run_cell(notebook, len(ALL) + 1)
    notebook.wait_for_function(f"() => {of('adaptation')}.state.alpha === 0.1")
    settle(notebook, "adaptation")
    assert seen(notebook, "adaptation") != before


def test_running_a_cell_again_closes_the_panel_that_it_showed(notebook):
    live = "() => document.querySelectorAll('.explorer').length"
    before = notebook.evaluate(live)
    for _ in range(3):
        run_cell(notebook, list(ALL).index("adaptation"))
    settle(notebook, "adaptation")
    assert notebook.evaluate(live) == before
    kept = "from ipywidgets.widgets.widget import _instances as kept"
    code = f"{kept}\nprint(sum(type(widget).__name__ == 'Panel' for widget in kept.values()))"
    assert lab.asked(notebook, code) == str(len(ALL))


def test_a_link_leads_to_its_place_at_the_first_click_and_opens_what_is_folded(notebook):
    """By itself JupyterLab looks for the place before it is drawn, and stays at the top."""
    notebook.locator('.jp-RenderedMarkdown a:text-is("elsewhere")').click()
    place = notebook.locator("[data-jupyter-id=elsewhere]")
    place.wait_for(state="attached")
    at = "() => document.querySelector('[data-jupyter-id=elsewhere]')?.getBoundingClientRect().top"
    notebook.wait_for_function(f"() => (({at})() > 0 && ({at})() < 300)")
    assert place.evaluate("(place) => place.closest('details').open")
    go_back(notebook)


def test_a_chapter_that_is_opened_asks_for_nothing_when_it_is_closed(notebook):
    """JupyterLab writes the kernel's language into a notebook that holds another: it would ask to save it."""
    opened = "window.jupyterapp.commands.execute('docmanager:open', { path: 'class.ipynb' })"
    notebook.evaluate(f"() => {opened}.then(() => true)")  # not what it gives: all of JupyterLab hangs on that
    notebook.wait_for_function("() => window.jupyterapp.shell.currentWidget.title.label === 'class.ipynb'")
    lab.wait_until_idle(notebook)
    notebook.wait_for_timeout(1000)
    assert not notebook.evaluate("() => window.jupyterapp.shell.currentWidget.context.model.dirty")
    go_back(notebook)


def test_after_the_kernel_is_gone_the_page_goes_on_computing(notebook):
    """Last: it takes the kernel away."""
    notebook.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    lab.wait_until_idle(notebook)
    before = seen(notebook, "adaptation")
    notebook.locator("[data-explorer=adaptation] [data-name=steps]").press("ArrowRight")
    settle(notebook, "adaptation")
    assert seen(notebook, "adaptation") != before
    assert notebook.locator("[data-explorer=adaptation] .said.wrong").count() == 0
