"""Chapter 4b: a new chick, country, thermometer or customer, of whom little has been seen.

How it is kept fair. Individuals are held out, each once: chicks in 10 parts, countries and customers in 5; the
thermometers that are judged are other ones than the 100 that train. Everything is learned on the other parts: mean
curve, units, variance components, theta. What must be tuned (degree and ridge of an own fit, by K; MAML's alpha) is
tuned on training individuals only. A score is one individual's mean squared error, or share of right forecasts.
"""

from torch import Generator, Tensor

from mapping_lib.study import Recipe, Table, Tolerance
from mapping_lib.worlds.held_out import REPEAT, judged, study

from . import methods_curves as curves
from . import methods_customers as customers
from . import study_curves, study_customers

SHOTS = (1, 2, 3, 4, 5)
CHOICE_SHOTS = (1, 2, 3, 4, 5, 6)


def _curve_recipes() -> dict[str, Recipe]:
    recipes = {}
    for data in REPEAT:
        for method, train in study_curves.TRAINERS.items():
            orders = ("all",) if method == "mixed effects" else ("spread", "first")
            for order in orders if data != "sensors" else orders[:1]:
                name = f"{data}_{method.replace(' ', '_').lower()}_{order}"
                settings = {"learner": method, "data": data, "order": order, **study_curves.SETTINGS[method]}
                if method != "mixed effects":
                    settings |= study_curves.COMMON
                recipes[name] = Recipe(lambda t=train, d=data, o=order: study_curves.all_parts(t, d, o), settings)
    return recipes


def _curve_table(data: str) -> Table:
    def score(method: str, setting: str, n: int, generator: Generator) -> Tensor:
        order, k_shot = settings[setting]["order"], settings[setting]["k_shot"]
        return curves.errors(method, data, order, judged(data, order, k_shot, generator=generator))[:n]

    orders = ("spread",) if data == "sensors" else ("spread", "first")
    settings = {f"{order}, {k}": {"order": order, "k_shot": k} for order in orders for k in SHOTS}
    n = int(study(data).judged.sum())
    methods = curves.METHODS + (("Bayes",) if data == "sensors" else ())
    measure = f"mean squared error of one of the {data} on its other observations, in squared units of the data"
    fixed = {"repeat": REPEAT[data], "parts": study(data).n_parts, "degree": curves.DEGREE}
    return Table(measure, methods, settings, score, fixed, n=n, at_once=n, tolerance=TOLERANCE[data])


def _choice_table() -> Table:
    def score(method: str, setting: str, n: int, generator: Generator) -> Tensor:
        order, k_shot = settings[setting]["order"], settings[setting]["k_shot"]
        return customers.rights(method, customers.judged(order, k_shot, generator=generator))[:n]

    settings = {f"{order}, {k}": {"order": order, "k_shot": k} for order in ("spread", "first") for k in CHOICE_SHOTS}
    measure = "share of a customer's other choices that were forecast, of 4 alternatives"
    n = customers.N_CUSTOMERS
    fixed = {"repeat": customers.REPEAT, "parts": customers.FOLDS}
    return Table(measure, customers.METHODS, settings, score, fixed, n=n, at_once=n, tolerance=TOLERANCE["customers"])


TOLERANCE = {
    "chicks": Tolerance(0.5),  # moved by 1e-6: 0.08, an own fit of the first two days; errors are 200 and more
    "countries": Tolerance(2e-3),  # 3e-4, an own fit of the first five years; errors are 0.2 and more
    "sensors": Tolerance(1e-4),  # 1.3e-5, MAML from one reading; errors are 0.15 and more
    "customers": Tolerance(1e-3),  # 1.8e-4: one forecast of one customer
}
RECIPES: dict[str, Recipe] = _curve_recipes() | study_customers.RECIPES
TABLES: dict[str, Table] = {data: _curve_table(data) for data in REPEAT} | {"customers": _choice_table()}
