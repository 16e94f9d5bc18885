"""Tasks one after the other: their data, the methods against plain loops with torch.optim, closed forms."""

import copy

import pytest
import torch
from oracles import seeded
from torch import nn

from mapping_lib.chapters.multitask_and_continual.family import (
    FIRST_TUNING,
    FORMS,
    DigitSequences,
    WaveSequences,
    of_task,
)
from mapping_lib.chapters.multitask_and_continual.methods import (
    Anchor,
    Model,
    errors,
    fisher,
    mean_loss,
    minimise_each,
    pull,
    sequence_model,
    train_in_sequence,
    train_jointly,
)
from mapping_lib.chapters.multitask_and_continual.methods_online import (
    Inner,
    episode,
    errors_after,
    follow_the_meta_leader,
    mean_loss_after,
    meta_train_each,
)
from mapping_lib.chapters.multitask_and_continual.study import neighbours
from mapping_lib.networks import mlp
from mapping_lib.task import Batch, Task
from mapping_lib.worlds.digits import FIRST_HELD_OUT, load, wrong

PLACE = {tuple(image): i for i, image in enumerate(load()[0].tolist())}
cross_entropy = nn.functional.cross_entropy
both = pytest.mark.parametrize("kind", ["pairs", "relabelled"])


# The sequences ----------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("judged_on", FORMS)
def test_no_image_is_twice_in_a_sequence_and_none_trains_and_judges(kind: str, judged_on: str):
    tasks = DigitSequences(kind, judged_on=judged_on).sample(6, 7, 4, generator=seeded(0))
    trained_on, judging = FORMS[judged_on]
    for part, forms in ((tasks.support, trained_on), (tasks.query, judging)):
        for sequence in part.x.flatten(1, 2):
            places = [PLACE[tuple(image)] for image in sequence.tolist()]
            assert len(set(places)) == len(places)
            assert set(places) <= set(range(*forms.indices(1797)))
    assert trained_on.stop == judging.start


def test_settings_are_chosen_without_a_held_out_form():
    assert FORMS["tuning"] == (slice(0, FIRST_TUNING), slice(FIRST_TUNING, FIRST_HELD_OUT))
    digits = load()[1].tolist()
    start = list(range(10)) * 3
    begins = [i for i in range(FIRST_HELD_OUT + 1) if digits[i : i + 30] == start]
    assert FIRST_TUNING in begins  # a form begins there


@both
def test_a_label_means_the_digit_that_the_description_says(kind: str):
    tasks = DigitSequences(kind, n_tasks=3).sample(5, 6, 4, generator=seeded(1))
    digits = load()[1]
    for x, y in (tasks.support, tasks.query):
        shown = torch.tensor([[[digits[PLACE[tuple(i)]] for i in task] for task in seq] for seq in x.tolist()])
        assert torch.equal(shown, tasks.description.long().gather(-1, y))


def test_pairs_share_no_digit_and_relabelled_tasks_have_them_all():
    pairs = DigitSequences("pairs").sample(50, 1, 1, generator=seeded(0)).description
    assert torch.equal(pairs.flatten(1).sort(-1).values, torch.arange(10.0).expand(50, 10))
    dealt = DigitSequences("relabelled").sample(50, 1, 1, generator=seeded(0)).description
    assert torch.equal(dealt.sort(-1).values, torch.arange(10.0).expand(50, 5, 10))
    assert (dealt[:, 0] != dealt[:, 1]).any(-1).all()


@both
def test_every_round_has_each_label_once(kind: str):
    family = DigitSequences(kind)
    y = family.sample(4, 5, 3, generator=seeded(0)).support.y.unflatten(-1, (5, family.n_way))
    assert torch.equal(y, torch.arange(family.n_way).expand_as(y))


def test_waves_are_those_that_they_say():
    tasks = WaveSequences(n_tasks=3).sample(4, 10, 20, generator=seeded(0))
    amplitude, phase = (tasks.description[..., i, None, None] for i in (0, 1))
    for x, y in (tasks.support, tasks.query):
        assert torch.allclose(y, amplitude * torch.sin(x - phase), atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: DigitSequences("triples"), "kind is 'triples'; allowed: 'pairs', 'relabelled'"),
        (lambda: DigitSequences("pairs", n_tasks=6), "n_tasks is 6; allowed: at most 5"),
        (lambda: DigitSequences(judged_on="train"), "judged_on is 'train'; allowed: 'held out', 'tuning'"),
        (lambda: DigitSequences("relabelled").sample(2, 30, 1, generator=seeded(0)), "k_shot \\+ n_query is 150"),
        (lambda: DigitSequences().sample(0, 1, 1, generator=seeded(0)), "n_sequences is 0"),
        (lambda: WaveSequences(n_tasks=0), "n_tasks is 0; allowed: a whole number, 1 or more"),
        (lambda: sequence_model(mlp((1, 2)), cross_entropy, heads=0), "heads is 0"),
        (lambda: list(run(kept=-1)), "kept is -1; allowed: a whole number, 0 or more"),
        (lambda: list(run(penalty=-1.0)), "penalty is -1.0; allowed: a finite number, 0 or more"),
        (lambda: list(run(lr=0.0)), "lr is 0.0; allowed: a finite number above 0"),
        (lambda: episode(Batch(torch.zeros(1, 1, 9, 2), torch.zeros(1, 1, 9)), INNER, generator=seeded(0)), "is 10"),
        (lambda: after(on=[0], k_shot=0, alpha=0.1, steps=1), "k_shot is 0"),
        (lambda: after(on=[0], k_shot=4, alpha=0.1, steps=-1), "steps is -1"),
    ],
)
def test_bad_input_is_refused(call, message: str):
    with pytest.raises(ValueError, match=message):
        call()


# Plain loops ------------------------------------------------------------------------------------------

N, STEPS, LR = 3, 12, 0.02
INNER = Inner(alpha=0.3, steps=2, k_shot=4, n_query=6, n_way=2)
TASKS = DigitSequences("pairs", n_tasks=3).sample(N, 6, 5, generator=seeded(3))
TASKS = Task(*(Batch(batch.x.double(), batch.y) for batch in TASKS[:2]), TASKS.description)


def model_and_starts(heads: int = 1):
    model = sequence_model(mlp((64, 7, 2 * heads)).double(), cross_entropy, heads=heads)
    return model, model.init(N, generator=seeded(4))


def run(heads: int = 1, lr: float = LR, **settings):
    return train_in_sequence(*model_and_starts(heads), TASKS.support, steps=STEPS, lr=lr, **settings)


def after(**settings):
    return errors_after(*model_and_starts(), TASKS, wrong, **settings)


def module(starts, sequence: int, heads: int = 1) -> nn.Module:
    network = mlp((64, 7, 2 * heads)).double()
    network.load_state_dict({name: p[sequence] for name, p in starts.items()})
    return network


def examples(batch: Batch, sequence: int, task: int, n: int | None = None) -> tuple:
    return batch.x[sequence, task, :n], batch.y[sequence, task, :n]


def head(logits, task: int, heads: int):
    return logits if heads == 1 else logits[:, 2 * task : 2 * task + 2]


def plain_matrix(sequence: int, heads: int, kept: int) -> list[list[float]]:
    """Error on each task after each, one sequence, with torch.optim and a module that is changed in place."""
    network, rows = module(model_and_starts(heads)[1], sequence, heads), []
    for now in range(3):
        adam = torch.optim.Adam(network.parameters(), lr=LR)
        for _ in range(STEPS):
            losses = []
            for task in range(now + 1):
                if task == now or kept:
                    x, y = examples(TASKS.support, sequence, task, None if task == now else kept)
                    losses.append(cross_entropy(head(network(x), task, heads), y))
            adam.zero_grad()
            (sum(losses) / len(losses)).backward()
            adam.step()
        with torch.no_grad():
            judged = [(t, *examples(TASKS.query, sequence, t)) for t in range(3)]
            rows.append([float(cross_entropy(head(network(x), t, heads), y)) for t, x, y in judged])
    return rows


@pytest.mark.parametrize(("heads", "kept"), [(1, 0), (1, 4), (1, 100), (3, 0), (3, 4)])
def test_the_forgetting_matrix_is_that_of_a_plain_loop(heads: int, kept: int):
    model, _ = model_and_starts(heads)
    matrix = torch.stack([errors(model, phi, TASKS.query, cross_entropy) for phi in run(heads, kept=kept)], 1)
    plain = torch.tensor([plain_matrix(i, heads, kept) for i in range(N)], dtype=torch.float64)
    assert torch.allclose(matrix, plain, rtol=1e-6, atol=1e-8)


def test_rehearsal_with_everything_kept_is_joint_training_on_what_was_seen():
    path = list(run(kept=12))
    joint = train_jointly(model_and_starts()[0], path[1], TASKS.support, steps=STEPS, lr=LR)
    assert all(torch.equal(joint[name], p) for name, p in path[2].items())


def test_a_memory_changes_nothing_before_there_is_an_old_task_and_something_after():
    plain, kept = list(run()), list(run(kept=4))
    assert all(torch.equal(plain[0][name], kept[0][name]) for name in plain[0])
    assert not torch.equal(plain[1]["0.weight"], kept[1]["0.weight"])


def test_training_leaves_its_starts_as_they_were():
    model, starts = model_and_starts()
    before = copy.deepcopy(starts)
    list(train_in_sequence(model, starts, TASKS.support, steps=2, lr=LR, kept=2, penalty=1.0))
    meta_train_each(model, starts, TASKS.support, INNER, steps=2, lr=LR, generator=seeded(0))
    after(on=[0, 1], k_shot=4, alpha=0.5, steps=2)
    assert all(torch.equal(starts[name], before[name]) for name in starts)


def test_another_head_is_left_alone():
    model, starts = model_and_starts(heads=3)
    first = next(iter(train_in_sequence(model, starts, TASKS.support, steps=5, lr=LR)))
    assert torch.equal(first["2.bias"][:, 2:], starts["2.bias"][:, 2:])
    assert not torch.equal(first["2.bias"][:, :2], starts["2.bias"][:, :2])


# EWC --------------------------------------------------------------------------------------------------


def test_the_pull_has_the_gradient_of_the_paper():
    g = seeded(0)
    phi, *anchors = ({"a": torch.randn(5, generator=g), "b": torch.randn(2, 3, generator=g)} for _ in range(5))
    anchors = [Anchor(p, {n: f.square() for n, f in q.items()}) for p, q in (anchors[:2], anchors[2:])]
    slope = torch.func.grad(pull)(phi, anchors)
    for name in phi:
        wanted = sum(a.importance[name] * (phi[name] - a.params[name]) for a in anchors)
        assert torch.allclose(slope[name], wanted, atol=1e-6)


def test_the_fisher_information_of_a_linear_classifier_in_closed_form():
    """d log p_y / dW_cj = (1[y = c] - p_c) x_j, so that F_cj is the mean of p_c (1 - p_c) x_j^2."""
    model = sequence_model(mlp((4, 3)).double(), cross_entropy)
    params = {name: p[0] for name, p in model.init(1, generator=seeded(0)).items()}
    x = torch.randn(50, 4, generator=seeded(1), dtype=torch.float64)
    found = fisher(model, params, x, 0)
    p = (x @ params["0.weight"].T + params["0.bias"]).softmax(-1)
    spread = p * (1 - p)
    assert torch.allclose(found["0.weight"], (spread[:, :, None] * x[:, None].square()).mean(0))
    assert torch.allclose(found["0.bias"], spread.mean(0))


def test_ewc_stays_where_it_was_where_the_penalty_is_huge_and_a_tiny_one_is_none():
    plain, tiny, huge = (list(run(penalty=penalty)) for penalty in (0.0, 1e-12, 1e12))
    # Adam moves by steps of about lr whatever the scale, so "stays" means: far less than without a penalty
    moved = [float(sum((p[2][n] - p[0][n]).square().sum() for n in p[0])) for p in (plain, huge)]
    assert moved[1] < 0.3 * moved[0]
    assert all(torch.allclose(tiny[2][n], plain[2][n], atol=1e-6) for n in plain[2])


def test_ewc_descends_the_loss_plus_its_penalty():
    model, _ = model_and_starts()
    path = list(run(penalty=3.0))
    for sequence in range(N):
        at = {n: p[sequence] for n, p in path[0].items()}
        anchor = Anchor(at, fisher(model, at, TASKS.support.x[sequence, 0], 0))
        params = {n: p.clone().requires_grad_() for n, p in at.items()}
        adam = torch.optim.Adam(params.values(), lr=LR)
        for _ in range(STEPS):
            x, y = examples(TASKS.support, sequence, 1)
            penalty = sum((anchor.importance[n] * (params[n] - at[n]) ** 2).sum() for n in at)
            adam.zero_grad()
            (cross_entropy(model.predict(params, x, 1), y) + 3.0 / 2 * penalty).backward()
            adam.step()
        assert all(torch.allclose(params[n], path[1][n][sequence], rtol=1e-6, atol=1e-8) for n in at)


# Meta-learning on a sequence --------------------------------------------------------------------------


def plain_adapt(network: nn.Module, x, y, alpha: float, steps: int) -> dict:
    phi = dict(network.named_parameters())
    for _ in range(steps):
        loss = cross_entropy(torch.func.functional_call(network, phi, (x,)), y)
        slopes = torch.autograd.grad(loss, list(phi.values()), create_graph=True)
        phi = {n: p - alpha * s for (n, p), s in zip(phi.items(), slopes, strict=True)}
    return phi


def test_the_meta_objective_and_its_gradient_are_those_of_a_plain_loop():
    model, starts = model_and_starts()
    support, query = episode(TASKS.support, INNER, generator=seeded(0))
    for i in range(N):
        network, losses = module(starts, i), []
        for task in range(3):
            phi = plain_adapt(network, *examples(support, i, task), INNER.alpha, INNER.steps)
            x, y = examples(query, i, task)
            losses.append(cross_entropy(torch.func.functional_call(network, phi, (x,)), y))
        loss = sum(losses) / 3
        loss.backward()
        one = lambda batch, i=i: Batch(batch.x[i], batch.y[i])  # noqa: E731
        theta = {n: p[i] for n, p in starts.items()}
        objective = lambda theta, one=one: mean_loss_after(model, theta, one(support), one(query), INNER)  # noqa: E731
        slope, value = torch.func.grad_and_value(objective)(theta)
        assert value == pytest.approx(float(loss.detach()))
        assert all(torch.allclose(slope[n], p.grad, rtol=1e-7, atol=1e-10) for n, p in network.named_parameters())


def test_adapted_errors_are_those_of_a_plain_loop():
    _, starts = model_and_starts()
    model = model_and_starts()[0]
    found = errors_after(model, starts, TASKS, cross_entropy, on=[2, 0], k_shot=4, alpha=0.5, steps=3)
    for i in range(N):
        for column, task in enumerate((2, 0)):
            network = module(starts, i)
            phi = plain_adapt(network, *examples(TASKS.support, i, task, 4), 0.5, 3)
            x, y = examples(TASKS.query, i, task)
            loss = cross_entropy(torch.func.functional_call(network, phi, (x,)), y)
            assert float(found[i, column]) == pytest.approx(float(loss.detach()))


def test_without_inner_steps_the_meta_objective_is_the_multi_task_objective():
    model, starts = model_and_starts()
    theta = {n: p[0] for n, p in starts.items()}
    query = Batch(*(part[0] for part in TASKS.query))
    meta = mean_loss_after(model, theta, query, query, INNER._replace(steps=0))
    multi = mean_loss(model, theta, {i: Batch(query.x[i], query.y[i]) for i in range(3)})
    assert float(meta) == pytest.approx(float(multi))


def test_support_and_query_of_an_episode_are_disjoint_and_balanced():
    numbered = torch.arange(12.0).view(1, 1, 12, 1).expand(2, 3, 12, 1)
    labels = (torch.arange(12) % 2).expand(2, 3, 12)
    support, query = episode(Batch(numbered, labels), INNER, generator=seeded(0))
    shown = [set(part.x[0, 0, :, 0].tolist()) for part in (support, query)]
    assert [len(s) for s in shown] == [4, 6]
    assert not shown[0] & shown[1]
    for part in (support, query):
        assert torch.equal(part.y, part.x[..., 0].long() % 2)
        assert (part.y.float().mean(-1) == 0.5).all()


def test_relabelled_episodes_deal_labels_per_task_and_alike_for_support_and_query():
    tasks = DigitSequences("relabelled", n_tasks=2).sample(8, 4, 1, generator=seeded(0)).support
    inner = INNER._replace(k_shot=10, n_query=20, n_way=10, relabel=True)
    (sx, sy), (qx, qy) = episode(tasks, inner, generator=seeded(0))
    (px, py), (rx, ry) = episode(tasks, inner._replace(relabel=False), generator=seeded(0))
    assert torch.equal(sx, px)
    assert torch.equal(qx, rx)
    dealt = torch.zeros(8, 2, 10, dtype=torch.long).scatter(-1, py, sy)
    assert torch.equal(dealt.gather(-1, ry), qy)
    assert len(dealt.flatten(0, 1).unique(dim=0)) == 16


def test_following_the_meta_leader_ends_with_all_tasks_or_with_the_last():
    model, starts = model_and_starts()
    settings = {"steps": 3, "lr": LR}
    for remember, seen in ((True, TASKS.support), (False, Batch(*(part[:, 2:] for part in TASKS.support)))):
        g = seeded(0)
        stream = follow_the_meta_leader(model, starts, TASKS.support, INNER, remember=remember, generator=g, **settings)
        before = [next(stream), next(stream)][1]
        state = g.get_state()
        last = next(stream)
        again = meta_train_each(model, before, seen, INNER, generator=g.set_state(state), **settings)
        assert all(torch.equal(last[n], again[n]) for n in last)


# Two objectives ---------------------------------------------------------------------------------------

H, C = torch.tensor([4.0, 1.0, 0.5], dtype=torch.float64), torch.tensor([-1.0, 1.0, 2.0], dtype=torch.float64)
PARABOLAS = Model(None, lambda params, x, task: params["theta"], lambda theta, y: y[1] / 2 * (theta - y[0]) ** 2)


def test_both_objectives_find_the_minima_of_the_closed_form():
    """Multi-task: weights h. Meta, after m steps: weights h (1 - alpha h)^(2m)."""
    y = torch.stack([C, H], -1)
    start = {"theta": torch.zeros(1, dtype=torch.float64)}
    tasks = Batch(torch.zeros(1, 3, 1), y[None])
    joint = train_jointly(PARABOLAS, start, tasks, steps=400, lr=0.05)["theta"]
    assert float(joint) == pytest.approx(float((H * C).sum() / H.sum()), abs=1e-3)
    for alpha, steps in ((0.1, 5), (0.3, 2)):
        inner = Inner(alpha, steps, 1, 1)
        loss = lambda p, y, inner=inner: mean_loss_after(PARABOLAS, p, Batch(y, y), Batch(y, y), inner)  # noqa: E731
        found = minimise_each(loss, start, [y[None]] * 400, lr=0.05)["theta"]
        weights = H * (1 - alpha * H) ** (2 * steps)
        assert float(found) == pytest.approx(float((weights * C).sum() / weights.sum()), abs=1e-3)


# Nearest neighbours -----------------------------------------------------------------------------------


def test_nearest_neighbours_against_a_plain_loop():
    tasks = DigitSequences("relabelled").sample(2, 3, 2, generator=seeded(5))
    found = neighbours(tasks)
    for i in range(2):
        memory = [examples(tasks.support, i, t, 10) for t in range(5)]
        own, union = [], []
        for t in range(5):
            misses = {"own": 0, "union": 0}
            for x, y in zip(*examples(tasks.query, i, t), strict=True):
                for name, stored in (("own", memory[t : t + 1]), ("union", memory[:4])):
                    pairs = [
                        ((x - a).square().sum().item(), int(b))
                        for xs, ys in stored
                        for a, b in zip(xs, ys, strict=True)
                    ]
                    misses[name] += min(pairs)[1] != int(y)
            own.append(misses["own"] / 20)
            union.append(misses["union"] / 20)
        assert float(found["new task, 3 steps"][i]) == pytest.approx(own[4])
        assert float(found["all tasks, 3 steps"][i]) == pytest.approx(sum(own[:4]) / 4)
        assert float(found["all tasks"][i]) == pytest.approx(sum(union[:4]) / 4)


def test_a_task_of_every_sequence():
    batch = Batch(torch.arange(24).view(2, 3, 4), torch.arange(24).view(2, 3, 4))
    assert of_task(batch, 1, first=2).x.tolist() == [[4, 5], [16, 17]]
