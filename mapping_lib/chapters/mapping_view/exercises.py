"""The exercises of chapter 1."""

from collections.abc import Callable

from mapping_lib.page.checking import answered, check, need


@check("inside, define a function of D: it calls learn(D) once and returns a function of x that calls predict.")
def check_trained(trained: Callable) -> str:
    """Chapter 1, exercise 1: ``trained(learn, predict)`` is the mapping D -> (x -> y)."""
    calls = []

    def learn(data: list[float]) -> float:
        calls.append(data)
        return sum(data) / len(data)

    with_data = answered(trained(learn, lambda theta, x: theta * x))
    need(callable(with_data), "trained(learn, predict) should be a function of D.")
    need(not calls, "nothing can be learned yet: D is not there before the function is called with it.")
    model, other = with_data([1.0, 3.0]), with_data([10.0])
    need(callable(model), "with data, the result should be a function of x.")
    need(model(5.0) == 10.0 and other(5.0) == 50.0, f"model(5) is {model(5.0)}, not predict(learn(D), 5) = 10.0.")
    need(len(calls) == 2, "it learns again for every x: learn once, then predict.")
    return "A mapping whose output is a mapping."


@check("find the index i for which |S_x[i] - x| is smallest, and return S_y[i].")
def check_nearest(nearest: Callable) -> str:
    """Chapter 1, exercise 2: ``nearest(S_x, S_y, x)``, the y of the example whose x is nearest."""
    xs, ys = [-3.0, 0.5, 2.0], [7.0, -1.0, 4.0]
    for x, wanted in ((-10.0, 7.0), (0.0, -1.0), (1.2, -1.0), (1.4, 4.0), (9.0, 4.0)):
        got = float(answered(nearest(xs, ys, x)))
        need(got != float(min(xs, key=lambda a, x=x: abs(a - x))), f"at x = {x} that is the nearest x, not its y.")
        need(got == wanted, f"at x = {x} you answer {got}; the nearest example says {wanted}.")
    return "Examples and a question go in, an answer comes out. No parameters anywhere."
