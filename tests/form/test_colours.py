"""Colours that stand in one figure can be told apart, also by colour-blind readers, or a mark tells them apart.

Dichromatic sight is simulated on linear RGB with the matrices of Machado, Oliveira and Fernandes (2009, "A
physiologically-based model for simulation of color vision deficiency", severity 1); how far two colours are apart is
their distance in CIE Lab (delta E of 1976), where about 2 can just be seen side by side.
"""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from mapping_lib.chapters.applications import figures as gains
from mapping_lib.chapters.automl import figures as automl
from mapping_lib.chapters.few_shot_images import figures as few_shot
from mapping_lib.chapters.language import explorer as languages
from mapping_lib.chapters.language import figures as language
from mapping_lib.chapters.multitask_and_continual import figures as continual
from mapping_lib.chapters.personalisation import figures as personalisation
from mapping_lib.chapters.reinforcement_learning import figures as navigation
from mapping_lib.page import plots

SIGHTS = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]])
ENOUGH = 10.0


def lab(colour: str, sight: str) -> np.ndarray:
    """The place of an sRGB colour in CIE Lab (white point D65), as somebody of this ``sight`` sees it."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    x, y, z = XYZ @ np.clip(np.array(SIGHTS[sight]) @ linear, 0, 1) / XYZ.sum(1)
    fx, fy, fz = (np.cbrt(t) if t > (6 / 29) ** 3 else t * (29 / 6) ** 2 / 3 + 4 / 29 for t in (x, y, z))
    return np.array([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)])


def distance(a: str, b: str) -> float:
    """The smallest distance of two colours over all kinds of sight."""
    return min(float(np.linalg.norm(lab(a, sight) - lab(b, sight))) for sight in SIGHTS)


def too_near(colours: Mapping[str, str], marks: Mapping[str, str] | None = None) -> set[frozenset[str]]:
    """The pairs that neither their colours nor their ``marks`` tell apart; who has no mark has a dot."""
    marks = marks or {}
    return {
        frozenset((a, b))
        for a, b in combinations(colours, 2)
        if distance(colours[a], colours[b]) < ENOUGH
        if marks.get(a, "o") == marks.get(b, "o")
    }


MAP = {"adaptation diverges": automl.BAD[1], "training diverged": automl.BAD[2]}
MAP |= {f"error {error:g}": automl.shade(error) for error in (automl.LOWEST, 1.0, automl.HIGHEST)}


@pytest.mark.parametrize(
    ("colours", "marks"),
    [
        pytest.param(plots.COLOURS, {}, id="roles"),
        pytest.param(few_shot.COLOUR_OF, few_shot.MARKS | {"prototypical": "*"}, id="4a"),
        pytest.param(personalisation.PEOPLE, {}, id="4b"),
        pytest.param(language.COLOUR_OF, language.MARKS, id="4c"),
        pytest.param(navigation.COLOUR_OF, {}, id="4d"),
        pytest.param(dict(enumerate({*continual.COLOUR_OF.values(), continual.OTHERS})), {}, id="4e"),
        pytest.param(automl.SEARCHERS, {}, id="4f"),
        pytest.param(MAP, {}, id="4f, map"),
        pytest.param(dict(enumerate(gains.LINES)), {}, id="4"),
        pytest.param(dict(enumerate(languages.COLOURS.values())), {}, id="languages"),
    ],
)
def test_colours_of_one_figure_can_be_told_apart(colours, marks):
    assert not too_near(colours, marks)


NEVER_MEET = {
    frozenset(pair)
    for pair in (
        ("FOMAML", "set network"),
        ("Meta-SGD", "Bayes"),
        ("from scratch", "SGD"),
        ("joint training", "Adam"),
        ("ANIL", "Adam"),
        ("ANIL", "joint training"),  # they do in chapter 4a, which gives them marks
    )
}


def test_colours_of_methods_that_meet_can_be_told_apart():
    assert too_near(plots.COLOUR_OF) == NEVER_MEET


def test_a_pair_that_only_some_readers_tell_apart_is_found():
    pair = {"green": "#009E73", "pink": "#E0457B"}
    assert np.linalg.norm(lab(pair["green"], "normal") - lab(pair["pink"], "normal")) > 100
    assert too_near(pair) == {frozenset(pair)}
    assert not too_near(pair, {"pink": "s"})


def test_the_simulation_leaves_grey_as_it_is_and_lightness_goes_from_0_to_100():
    for sight in SIGHTS:
        assert np.allclose(lab("white", sight), [100, 0, 0], atol=0.05)
        assert np.allclose(lab("#777777", sight), lab("#777777", "normal"), atol=0.05)
    assert distance("black", "white") == pytest.approx(100, abs=0.05)
    assert lab("red", "normal") == pytest.approx([53.24, 80.09, 67.20], abs=0.05)  # as tables of CIE Lab give it
