"""No stored number is decided by rounding: a sample of them, with theta and data moved by a relative 1e-6."""

import pytest
import stability
import torch

from mapping_lib import study as applications
from mapping_lib.chapters.language import study as language
from mapping_lib.chapters.reinforcement_learning import study as navigation
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.study.sinusoids import shipped

NUMBERS = stability.numbers()
GROUPS = list(dict.fromkeys(number.group for number in NUMBERS))


def sample(group: str) -> list[stability.Number]:
    """Of a table every other method, each in another setting; of other figures every third."""
    mine = [number for number in NUMBERS if number.group == group]
    if group not in applications.tables():
        return mine[::3]
    n_methods, n_settings = (len(part) for part in applications.tables()[group][1:3])
    return [mine[(i // 2 % n_settings) * n_methods + i] for i in range(0, n_methods, 2)]


@pytest.mark.parametrize("group", GROUPS)
def test_no_stored_number_is_decided_by_rounding(group: str):
    moved = stability.measured(sample(group), seeds=(1,))
    assert {name: values for name, values in moved.items() if max(values) > stability.SHARE} == {}


# That everything is moved, and nothing stays moved ------------------------------------------------------


def both() -> tuple[torch.Tensor, ...]:
    tasks = Sinusoids().sample(3, 5, 5, generator=torch.Generator().manual_seed(0))
    walks = navigation.FAMILY.sample(3, 5, 5, generator=torch.Generator().manual_seed(0))
    return (
        tasks.support.x, tasks.query.y, tasks.description, walks.support.x, walks.description,
        shipped("maml")[1]["2.weight"], applications.shipped_theta("names_maml")["0.weight"].float(),
        language.shipped_theta("glyphs_joint")["0.weight"].float(),
    )  # fmt: skip


def test_theta_and_data_are_moved_by_a_relative_1e_6_and_afterwards_they_are_not():
    before = both()
    with stability.all_nudged(1):
        inside = both()
    for was, is_now, after in zip(before, inside, both(), strict=True):
        moved = ((is_now - was) / was).abs()
        assert 0.2e-6 < float(moved[was != 0].mean()) < 3e-6
        assert torch.equal(was, after)


def test_what_is_decided_by_rounding_is_found():
    """The sine of ten thousand times a number begins to hang on its fourth digit."""

    def fragile(method, setting, n, generator):
        x = Sinusoids().sample(n, 1, 0, generator=generator).support.x[:, 0, 0]
        return (1e4 * x).sin() if method == "far" else x

    table = applications.Table("x", ("near", "far"), {"here": {}}, fragile)
    stored = {method: applications.measure(table, method, "here", n=20).scores for method in table.methods}
    with stability.all_nudged(1):
        moved = {m: table.tolerance.moved(table.again(m, "here")[0].scores, stored[m]) for m in table.methods}
    assert moved["near"] < stability.SHARE * table.tolerance.within < moved["far"]
