"""A chapter in a real JupyterLab in a real Chromium, from its first cell to its last, as students get it."""

import lab
import nbformat
import pytest
from house import ROOT

from mapping_lib.tools import editions

pytestmark = pytest.mark.browser

WHOLE = ("01_mapping_view.ipynb",)
"""All cells of the others run in nbval, which a student's copy shares with them (`test_editions`); each explorer is
opened in JupyterLab by `test_browser`."""


@pytest.mark.parametrize("name", WHOLE)
def test_a_chapter_runs_from_its_first_cell_to_its_last(name, tmp_path):
    private = tmp_path / "private"
    nb = editions.student(nbformat.read(ROOT / "notebooks" / name, 4))
    (tmp_path / "notebooks").mkdir()
    private.mkdir()
    nbformat.write(nb, tmp_path / "notebooks" / name)
    with lab.jupyterlab(tmp_path / "notebooks", private) as address, lab.browser(private) as page:
        lab.open_notebook(page, address, name)
        lab.run_all(page)
        assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']").count() == 0
        prompts = page.locator(".jp-CodeCell .jp-InputPrompt").all_inner_texts()
        assert prompts
        assert not [p for p in prompts if p.strip() in ("[ ]:", "[*]:")]
