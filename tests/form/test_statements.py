"""What the pages say, held against each other and against an experiment: no statement contradicts another.

A guard takes the Markdown cells of a page and yields the faults it finds. The last part proves that the guards bite.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from house import ROOT
from torch.nn.functional import cosine_similarity, mse_loss
from torch.nn.utils import clip_grad_norm_

from mapping_lib import inner_loop
from mapping_lib.curvature import hessian_vector_product, largest_eigenvalue
from mapping_lib.evaluation import evaluate_by_step
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners.gradient import fomaml, maml
from mapping_lib.meta_training import meta_train
from mapping_lib.networks import mlp
from mapping_lib.params import flat
from mapping_lib.study.sinusoids import SEEDS, shipped
from mapping_lib.task import map_tasks

NOTEBOOKS = ROOT / "notebooks"
FAQ, MATHS, GLOSSARY, CLAIMS = "05_faq", "02_maml_math", "05b_glossary", "05a_checked_claims"
MATHS_DEEPER = ("02b_more_steps", "02c_priors", "02d_curvature")
RESERVE = re.compile(r"[Bb]owl|first guess|no law|no verdict|of its loss|of task 1")
"""What a paragraph says that names the limit 2/λ_max: that it is one of bowls, or no more than a beginning."""


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def cells(page: str) -> list[str]:
    nb = nbformat.read(NOTEBOOKS / f"{page}.ipynb", nbformat.NO_CONVERT)
    return [cell.source for cell in nb.cells if cell.cell_type == "markdown"]


@cache
def answers() -> dict[int, tuple[str, str]]:
    """Every question's title and all that stands below it, code too, by number."""
    nb = nbformat.read(NOTEBOOKS / f"{FAQ}.ipynb", nbformat.NO_CONVERT)
    text = "\n\n".join(cell.source for cell in nb.cells)
    parts = re.split(r"^### (\d+)\. (.*)$", text, flags=re.MULTILINE)[1:]
    return {int(n): (title, below) for n, title, below in zip(parts[::3], parts[1::3], parts[2::3], strict=True)}


# --- One page against another ---


def questions_are_listed(cells: list[str]) -> Iterator[str]:
    """Each question has an anchor, and the list at the top leads to it by its number."""
    asked = re.findall(r'^<a id="q(\d+)"></a>\n### (\d+)\. ', "\n\n".join(cells), flags=re.MULTILINE)
    yield from (f"question {number} has the anchor q{anchor}" for anchor, number in asked if anchor != number)
    listed = re.findall(r"\[(\d+) [^\]]*\]\(#q(\d+)\)", cells[1])
    if sorted(listed) != sorted((number, number) for _, number in asked):
        yield "the list at the top is not that of the questions"


def the_limit_has_its_reserve(cells: list[str]) -> Iterator[str]:
    """Where 2/λ_max is named, bowls are, too: good θ of networks live above it."""
    for cell in cells:
        for paragraph in re.split(r"\n(?=\||\d+\. |- )|\n\n", cell):
            if re.search(r"2/ ?(?:λ_max|λ\b|\\lambda)", paragraph) and not RESERVE.search(paragraph):
                yield f"2/λ_max without reserve: {paragraph[:60]}"


def overshooting_begins_at_one(cells: list[str]) -> Iterator[str]:
    """A step overshoots above 1/λ, and diverges above 2/λ: nobody is told that it overshoots above 2."""
    for sentence in re.split(r"(?<=[.?!:;])\s", "\n".join(cells)):
        above_two, above_one = (re.search(limit, sentence) for limit in ("above 2|2/λ", "above 1|1/λ|1/h"))
        if "overshoot" in sentence and above_two and not above_one:
            yield f"overshoots above 2: {sentence[:80]}"


def the_oracle_knows_the_task(cells: list[str]) -> Iterator[str]:
    """The glossary's Chinese does not say what question 68 denies: an answer that is known, a bound that holds."""
    row = next(line for cell in cells for line in cell.splitlines() if line.startswith("| oracle |"))
    yield from (f"the oracle is called {word}" for word in ("答案", "上限", "上界") if word in row.split("|")[2])


def the_inner_step_has_no_number(cells: list[str]) -> Iterator[str]:
    """Finn et al. number the outer step (eq. 1), and neither the inner step nor the objective."""
    for cell in cells:
        for line in cell.splitlines():
            if re.search(r"inner step|discrete steps|section 2\.2, eq\. 1", line) and re.search(
                r"Finn et al\. 2017, arXiv 1703\.03400,[^;|]*(?<!above )eq\. 1", line
            ):
                yield f"eq. 1 is the outer step: {line[:60]}"


GUARDS = [
    (FAQ, questions_are_listed),
    *((page, the_limit_has_its_reserve) for page in (FAQ, MATHS, GLOSSARY, *MATHS_DEEPER)),
    *((path.stem, overshooting_begins_at_one) for path in sorted(NOTEBOOKS.glob("*.ipynb"))),
    (GLOSSARY, the_oracle_knows_the_task),
    (CLAIMS, the_inner_step_has_no_number),
]


@pytest.mark.parametrize(("page", "guard"), GUARDS, ids=[f"{page} {guard.__name__}" for page, guard in GUARDS])
def test_page(page: str, guard: Callable):
    assert list(guard(cells(page))) == []


@pytest.mark.parametrize("number", sorted(answers()))
def test_an_answer_uses_the_words_that_its_question_asks_about(number: int):
    title, below = answers()[number]
    said = re.sub(r"^\*Asked in.*$", "", below, flags=re.MULTILINE)
    words = {word for code in re.findall(r"`([^`]+)`", title) for word in re.findall(r"[A-Za-z_]{3,}", code)}
    assert {word for word in words if word not in said} == set()


def test_the_number_in_question_66_is_one_that_chance_may_explain():
    title, below = answers()[66]
    mine, paper = (float(number) for number in re.findall(r"([\d.]+) %", title))
    half = (1.84**2 + 1.83**2) ** 0.5
    assert f"by {half:.1f} by the draw of test tasks" in below
    assert 0 < paper - mine < half
    assert f"{mine:.2f}" in below


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("mapping_lib/chapters/*/explorer*.py")), ids=lambda path: path.parent.name
)
def test_an_explorer_does_not_say_that_a_step_overshoots_above_two(path: Path):
    assert list(overshooting_begins_at_one([path.read_text(encoding="utf-8")])) == []


def test_the_readme_counts_the_questions():
    assert f"[{len(answers())} questions of readers, answered]" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_inner_step_says_where_it_stands_in_the_paper():
    assert "algorithm 1, line 6" in inner_loop.inner_step.__doc__
    assert "2017, eq. 1)" not in inner_loop.inner_step.__doc__


# --- Data: whose, and under which licence ---

DATA = sorted(path for path in ROOT.glob("mapping_lib/**/data/*") if path.suffix in (".npz", ".json", ".xz"))


@pytest.mark.parametrize("path", DATA, ids=lambda path: path.name)
def test_the_licence_of_data_is_not_that_of_the_package_that_carried_them(path: Path):
    parts = re.split(r"^## ", path.with_name("README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    section = " ".join(next(part for part in parts if part.startswith(f"`{path.name}`")).split())
    assert "**Origin.**" in section
    of_data, _, of_package = section.partition("**Licence of the data.**")[2].partition("**Licence of the package")
    assert of_data
    assert not re.search(r"BSD|\bGPL\b|is under the MIT", of_data)
    if re.search(r"carries (?:it|them)|our copy is", section):
        assert of_package


# --- Statements against an experiment ---


def test_only_a_write_by_data_is_silent():
    """Questions 15 and 16."""

    def derivative_after(write: Callable) -> float:
        theta = torch.tensor(2.0, requires_grad=True)
        loss = theta**3
        write(theta)
        loss.backward()
        return theta.grad.item()

    def by_data(theta: torch.Tensor) -> None:
        theta.data -= 0.05

    def under_no_grad(theta: torch.Tensor) -> None:
        with torch.no_grad():
            theta.sub_(0.05)

    def by_step(theta: torch.Tensor) -> None:
        theta.grad = torch.ones(())
        torch.optim.SGD([theta], lr=0.05).step()
        theta.grad = None

    assert derivative_after(lambda theta: None) == pytest.approx(12.0)
    assert derivative_after(by_data) == pytest.approx(11.4, abs=0.01)
    for write in (under_no_grad, by_step):
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            derivative_after(write)


def test_clipping_outside_does_not_help_who_diverges_inside():
    """Questions 34 and 35: a step of θ along the clipped gradient leaves φ as wild as it was."""

    def loss_after(theta: torch.Tensor, m: int) -> torch.Tensor:
        for _ in range(m):
            theta = theta - 0.1 * 25 * theta
        return 12.5 * theta**2

    theta = torch.nn.Parameter(torch.tensor(1.0))
    before = loss_after(theta, 20)
    before.backward()
    clip_grad_norm_([theta], 1.0)
    assert loss_after(theta - 0.01 * theta.grad, 20) > 0.5 * before > 1e6
    theta.grad = None
    loss_after(theta, 120).backward()
    clip_grad_norm_([theta], 1.0)
    assert theta.grad.isnan()


def test_a_good_theta_lives_above_the_limit_of_bowls_on_about_half_of_its_tasks():
    """Chapter 2's summary, questions 31 and 34."""
    learner, theta = shipped("maml")
    tasks = Sinusoids().sample(60, 10, 100, generator=seeded(5))
    start = {name: torch.ones_like(p) for name, p in theta.items()}

    def sharpness(support):
        objective = inner_loop.support_objective(learner.predict, mse_loss, support)
        return largest_eigenvalue(lambda v: hessian_vector_product(objective, theta, v), start)

    above = (torch.vmap(sharpness)(tasks.support) > 2 / 0.01).float().mean()
    errors = evaluate_by_step(learner, theta, Sinusoids(), k_shot=10, steps=5, n_tasks=600, generator=seeded(5))
    assert 0.35 < above < 0.75
    assert errors.diverged[5] < 0.01
    assert errors.mean[5] < 0.1 * errors.mean[0]


@pytest.mark.parametrize("seed", SEEDS)
def test_first_order_is_a_good_compass_for_most_of_the_way_down(seed: int):
    """Chapter 2, "why does FOMAML work at all?"."""
    network, family = mlp((1, 40, 40, 1)), Sinusoids()
    full, first = (make(network, mse_loss, alpha=0.01) for make in (maml, fomaml))
    theta = full.init(generator=seeded(seed))
    *_, last = meta_train(full, family, beta=0.003, outer_steps=300, theta=theta, generator=seeded(seed))
    judge, tasks = (family.sample(n, 10, 10, generator=seeded(100 + n)) for n in (600, 40))
    alone = [map_tasks(lambda t, i=i: t[i : i + 1], tasks) for i in range(40)]
    pairs = [[flat(learner.meta_grad(last.theta, task)[1]) for learner in (full, first)] for task in alone]
    assert full.meta_grad(last.theta, judge)[0] < 0.5 * full.meta_grad(theta, judge)[0]
    assert np.median([float(cosine_similarity(*pair, dim=0)) for pair in pairs]) > 0.8


def test_without_a_step_a_zero_head_lets_no_gradient_through():
    """Question 59."""
    network = mlp((8, 5, 3))
    torch.nn.init.zeros_(network[2].weight)
    x, y = torch.randn(6, 8, generator=seeded(0)), torch.arange(6) % 3
    torch.nn.functional.cross_entropy(network(x), y).backward()
    assert not network[0].weight.grad.any()
    assert network[2].weight.grad.any()


# --- The guards bite: one fault at a time ---

FAULTS = [
    (FAQ, questions_are_listed, lambda text: text.replace('<a id="q21"></a>', '<a id="q12"></a>', 1)),
    (FAQ, questions_are_listed, lambda text: text.replace("(#q60)", "(#q23)", 1)),
    (MATHS, the_limit_has_its_reserve, lambda text: text + "\n\nα < 2/λ_max keeps them stable."),
    (MATHS, the_limit_has_its_reserve, lambda text: text + "\n\n$\\alpha < 2/\\lambda_{\\max}$ keeps them stable."),
    (GLOSSARY, the_limit_has_its_reserve, lambda text: text.replace("| on a bowl α > 2/λ_max |", "| α > 2/λ_max |")),
    (FAQ, overshooting_begins_at_one, lambda text: text + "\n\nA step overshoots where αλ is above 2."),
    (GLOSSARY, the_oracle_knows_the_task, lambda text: text.replace("已知任务的参照方法", "已知答案者（上限参照）")),
    (
        CLAIMS,
        the_inner_step_has_no_number,
        lambda text: text.replace("section 2.2 (the inner step", "eq. 1 (the inner step"),
    ),
]


@pytest.mark.parametrize(("page", "guard", "spoil"), FAULTS)
def test_a_guard_finds_the_fault(page: str, guard: Callable, spoil: Callable):
    good = "\n\n§§\n\n".join(cells(page))
    assert spoil(good) != good, "nothing was spoiled"
    assert list(guard(spoil(good).split("\n\n§§\n\n")))
