"""Explorer: two methods of chapter 4g on one wave, as far outside the family as the reader likes, and with any K.

All but the steps at test are computed while the hand moves. Those go backwards through a transformer of 80,977 numbers,
K times at once: they come when the hand rests. The typical errors were measured beforehand (`study_typical`). With two
transformers the panel and its front end have 560 kB, compressed, 410 more than an explorer should.
"""

from dataclasses import dataclass

from mapping_lib.page.explorer import Explorer
from mapping_lib.page.fields import choice, numbers, slider
from mapping_lib.page.marks import axes, band, drag, line, points, rule
from mapping_lib.study.sinusoids import points_and_noise

from .explorer_program import LATER, NAMES, PROGRAM, STEPPING
from .explorer_stages import FEW
from .figures import COLOUR_OF_METHODS
from .study_fewer_numbers import count
from .study_typical import MOST_STEPS

MAX_SHOTS = 20
DRAWN_X = points_and_noise()[0]
WHERE = {0.0: "inside", 0.5: "half outside", 1.0: "upside down"}


@dataclass(frozen=True)
class State:
    """What the controls and the hand say: the wave is that of ``phase`` + ``away`` · π.

    The support lies ``lift`` above the wave at ``x``; ``steps`` are those of test-time training alone.
    """

    first: str = choice("in-context", NAMES, "compare", large=True)
    second: str = choice("test-time steps", NAMES, "with", large=True)
    away: float = slider(1.0, 0, 1, "outside", "the family", step=0.25, large="half", marks=WHERE)
    x: tuple[float, ...] = numbers(
        DRAWN_X[:5].tolist(), -5, 5, most=MAX_SHOTS, label="examples K", beside=("lift",), large="half"
    )
    lift: tuple[float, ...] = numbers([0.0] * 5, -12, 12, most=MAX_SHOTS, fresh=0.0)
    steps: int = slider(10, 0, MOST_STEPS, "steps at test", "leave-one-out", large="half")
    amplitude: float = slider(3.0, 0.1, 5.0, "amplitude", step=0.05)
    phase: float = slider(1.4, 0.0, 3.14, "phase", step=0.02)


# What is drawn and said -----------------------------------------------------------------------------------

MOVES_WAVE = drag("phase", "amplitude", about="about")
BAND, ANSWER = {"x": "grid", "fade": 0.16}, {"x": "grid", "width": 3}
CHART = {"xlabel": "examples K", "log": "y"}
TYPICAL = {"x": "tried", "dots": "all"}
ONE, TWO, STEPS = "[{first}|{first}]", "[{second}|{second}]", "[test-time steps|test-time steps]"
WHO = f"On {{waves}} such waves with K = {{tried_k}}: {ONE} {{first_here:.2g}}, {TWO} {{second_here:.2g}} (medians)"
CAPITAL = "[Test-time steps|test-time steps]"
FROM = "with {steps:step} the median goes from {unstepped:.2g} to **{stepped:.2g}**."
TIMES = "errs **{times:.2g} times less**."
EXPLORER = Explorer(
    "what-came-after",
    State,
    "Inside the family or out of it: who still follows the points?",
    "Drag the orange points or the dark one, which is the wave; click to add a point. Then lead it out of the family.",
    axes=(
        axes("wave", (-5, 5), (-6.6, 6.6), "one wave, two answers, each with its error", share=1.45),
        axes("chart", (0, MAX_SHOTS + 0.6), (1e-3, 20), "typical error (thin: inside the family)", **CHART),
    ),
    marks=(
        band("wave", "first_answer.1", "first_answer.2", "{first}", when="first_now", **BAND),
        band("wave", "second_answer.1", "second_answer.2", "{second}", when="second_now", **BAND),
        line("wave", "truth", "truth", x="grid", name="the wave", dash=[6, 5], width=1.8),
        line("wave", "first_answer.0", "{first}", name="{first} {first_error:.2g}", when="first_now", **ANSWER),
        line("wave", "second_answer.0", "{second}", name="{second} {second_error:.2g}", when="second_now", **ANSWER),
        line("wave", "mended", NAMES[STEPPING], name="test-time steps {mended_error:.2g}", when="mending", **ANSWER),
        points("wave", "x", "y", "support", drag=drag("x", "lift", ("grid", "truth")), adds=True, size=7),
        points("wave", "low_x", "low_y", "truth", size=6, drag=MOVES_WAVE),
        rule("chart", "grid", x="k", width=9, dash=[]),
        rule("chart", "soft", x="trained", name="trained up to here", when="to_ten"),
        line("chart", "first_inside", "{first}", x="tried", width=1.4, dash=[3, 4], fade=0.7, when="outside"),
        line("chart", "second_inside", "{second}", x="tried", width=1.4, dash=[3, 4], fade=0.7, when="outside"),
        line("chart", "first_line", "{first}", name="{first}", width=2.6, **TYPICAL),
        line("chart", "second_line", "{second}", name="{second}", width=2.6, **TYPICAL),
    ),
    sentence=(
        {
            "same": "Twice the same method: choose another one to compare it with.",
            "first_gone": f"{ONE} **diverges** on this wave.",
            "second_gone": f"{TWO} **diverges** on this wave.",
            "alike": f"{WHO}: about alike.",
            "ahead": f"{WHO}: {ONE} {TIMES}",
            "": f"{WHO}: {TWO} {TIMES}",
        },
        {
            "not asks_in_context": "",
            "stays": "In context no weight changes: the answer is **nearest to a wave of the family**, which this is not.",
            "out_of_it": "This wave lies outside the family; in context, the answer follows it some way.",
            "": "",
        },
        {
            "not asks_prior": "",
            "prior_stays": "[prior-fitted|prior-fitted] changes no weight: its answer is **nearest to a wave of the family**.",
            "": "",
        },
        {
            "not mends": "",
            "not steps": f"{CAPITAL}: none is taken yet.",
            "mended_all": f"Each of {{steps}} {STEPS} asks for every point from the others, and moves all weights: {FROM}",
            "spoiled_all": f"{CAPITAL} **spoil** here: {FROM}",
            "": f"{CAPITAL} change little here: {FROM}",
        },
        *(
            {f"asks_{key}": f"[{name}|{name}]: {count(name)} numbers are a task's own, the network's 1,761 stay."}
            for key, name in FEW.items()
        ),
        {"beyond": "**K = {k} is beyond training**: 3b's transformer and the neural process saw 10 points at most."},
    ),
    presets={
        "inside": {"away": 0.0},
        "half outside": {"away": 0.5, "phase": 1.4},
        "upside down, K = 15": {"x": tuple(DRAWN_X[:15].tolist()), "lift": (0.0,) * 15},
        "against MAML": {"first": "MAML"},
    },
    program=PROGRAM,
    later=LATER,
    actions=(("new points", "x_length", "scatter"),),
    more="more: amplitude and phase",
    height=0.3,
    colours=COLOUR_OF_METHODS,
)
explorer = EXPLORER.open
