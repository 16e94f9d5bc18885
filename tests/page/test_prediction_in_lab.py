"""A prediction in a real JupyterLab: by mouse and by keys, with a kernel that knows the guess."""

import lab
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import expect

CELLS = [
    "from mapping_lib.page.prediction import predict\n\nguess = predict('Which?', ['this', 'that'])\nguess",
    "print(guess.said)",
    "guess.against('this')",
]


@pytest.mark.browser
def test_in_jupyterlab_a_guess_is_made_and_shift_enter_goes_on(tmp_path):
    (tmp_path / "notebooks").mkdir()
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    nb = new_notebook(cells=[new_code_cell(source) for source in CELLS], metadata=kernel)
    nbformat.write(nb, tmp_path / "notebooks" / "a.ipynb")
    with lab.jupyterlab(tmp_path / "notebooks", tmp_path) as address, lab.browser(tmp_path) as page:
        page.set_default_timeout(30_000)
        lab.open_notebook(page, address, "a.ipynb")
        lab.run_all(page)
        expect(page.locator("[data-role=answer] .said")).to_have_text("No guess this time. It was this.")
        page.locator(".jp-InputPrompt").first.click()
        page.keyboard.press("Shift+Enter")  # asked afresh, and the next cell is the one in hand
        expect(page.get_by_role("radio")).to_have_count(2)
        page.get_by_role("radio", name="this").click()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Space")
        expect(page.locator("[data-role=ask] .said")).to_have_text("You said that. You may still change it.")
        for _ in range(100):  # a second change is sent when the kernel has taken the first
            if lab.asked(page, "print(guess.said)") == "that":
                break
            page.wait_for_timeout(100)
        for _ in range(2):
            page.keyboard.press("Shift+Enter")
        lab.wait_until_idle(page)
        expect(page.locator(".jp-CodeCell").nth(1).locator(".jp-OutputArea-output")).to_have_text("that\n")
        expect(page.locator("[data-role=answer] .said")).to_have_text("≠You said that. It was this.")
        expect(page.locator("[data-role=ask] .said")).to_have_text("You said that.")
