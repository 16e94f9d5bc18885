"""The exercises of chapter 1."""

from collections.abc import Callable

from mapping_lib.page.checking import answered, check, expect, need, number


@check("inside, define a function of D that learns once, and returns a function of x.")
def check_trained(trained: Callable) -> str:
    """Chapter 1, exercise 1: ``trained(learn, predict)`` is the mapping D -> (x -> y)."""
    calls = []

    def learn(data: list[float]) -> float:
        calls.append(data)
        return sum(data) / len(data)

    with_data = answered(trained(learn, lambda theta, x: theta + 10 * x))  # theta and x cannot be exchanged unseen
    need(callable(with_data), "trained(learn, predict) should be a function of D.")
    need(not calls, "nothing can be learned yet: D is not there before the function is called with it.")
    model, other = with_data([1.0, 3.0]), with_data([10.0])
    need(callable(model), "with data, the result should be a function of x.")
    exchanged = "predict takes theta first, and x second."
    later = "the model of the first data has become that of the second: theta belongs to the model, not to all of them."
    expect(number(model(5.0)), 52.0, "as predict(learn([1, 3]), 5)", {exchanged: 25.0, later: 60.0})
    expect(number(other(5.0)), 60.0, "as predict(learn([10]), 5)", {"the second model is the first again.": 52.0})
    learned = len(calls)
    model(1.0)
    need(len(calls) == learned == 2, "it learns again for every x: learn once, then predict.")
    return "A mapping whose output is a mapping."


@check("find the index i for which |S_x[i] - x| is smallest, and return S_y[i].")
def check_nearest(nearest: Callable) -> str:
    """Chapter 1, exercise 2: ``nearest(S_x, S_y, x)``, the y of the example whose x is nearest."""
    in_order, mixed = ([-3.0, 0.5, 2.0], [7.0, -1.0, 3.0]), ([2.0, -3.0, 5.0, 0.5], [4.0, 7.0, 2.5, -1.5])
    asked = [(*in_order, x) for x in (-10.0, 1.3, 0.0, 1.2, 9.0)] + [(*mixed, x) for x in (-4.0, 0.0, 1.4, 3.4, 8.0)]
    for xs, ys, x in [*asked, ([-2.0], [3.0], 5.0)]:
        away = [abs(a - x) for a in xs]
        i = away.index(min(away))
        mistakes = {
            "that is the nearest x, not its y.": xs[i],
            "that is the place of the nearest example, not its y.": i,
            "that is the leftmost example's: a distance has no sign, so take its absolute value.": ys[
                xs.index(min(xs))
            ],
            "that is the y nearest to x: compare x with S_x.": min(ys, key=lambda y, x=x: abs(y - x)),
        }
        got = number(nearest(list(xs), list(ys), x))
        expect(got, ys[i], f"with S_x = {xs} (in any order), S_y = {ys} and x = {x}", mistakes)
    return "Examples and a question go in, an answer comes out. No parameters anywhere."
