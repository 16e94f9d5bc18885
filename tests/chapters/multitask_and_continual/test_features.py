"""Chapter 4e: the nearest in a network's features, and prototypical networks, against plain loops."""

import pytest
import torch
from oracles import seeded
from torch import nn

from mapping_lib.chapters.multitask_and_continual.family import of_task
from mapping_lib.chapters.multitask_and_continual.methods import sequence_model
from mapping_lib.chapters.multitask_and_continual.methods_features import (
    READOUTS,
    Readout,
    features,
    nearest_label,
    prototype_loss,
    train_prototypes,
)
from mapping_lib.chapters.multitask_and_continual.methods_online import Inner
from mapping_lib.chapters.multitask_and_continual.study import draw, lookup_errors
from mapping_lib.chapters.multitask_and_continual.study_methods import make_model
from mapping_lib.networks import mlp
from mapping_lib.task import Batch

HEADS = sequence_model(mlp((64, 40, 5 * 3)), nn.functional.cross_entropy, heads=5)


def one(params):
    return {name: p[0] for name, p in params.items()}


def test_features_are_what_the_layers_say_and_heads_that_nobody_trained_are_left_out():
    params, x = one(HEADS.init(1, generator=seeded(0))), torch.randn(7, 64, generator=seeded(1))
    module = mlp((64, 40, 15))
    module.load_state_dict(params)
    hidden, outputs = module[:2](x), module(x)
    assert torch.allclose(features(HEADS, params, x, "hidden"), hidden, atol=1e-6)
    assert torch.allclose(features(HEADS, params, x, "outputs", 4), outputs[:, :12], atol=1e-6)
    by_head = torch.cat([outputs[:, i : i + 3].softmax(-1) for i in (0, 3, 6, 9)], -1)
    assert torch.allclose(features(HEADS, params, x, "probabilities", 4), by_head, atol=1e-6)
    with pytest.raises(ValueError, match="layer is 'pixels'; allowed: 'hidden'"):
        features(HEADS, params, x, "pixels")


@pytest.mark.parametrize("readout", READOUTS, ids="-".join)
def test_the_nearest_is_that_of_a_loop_over_all_that_was_kept(readout: Readout):
    kept = Batch(torch.randn(8, 5, generator=seeded(0)), torch.tensor([0, 1] * 4))
    asked = torch.randn(20, 5, generator=seeded(1))

    def apart(a, b):
        return -float(nn.functional.cosine_similarity(a, b, dim=0)) if readout.distance == "cosine" else (a - b).norm()

    def unit(x):
        return x / x.norm(dim=-1, keepdim=True) if readout.distance == "cosine" else x

    places = [(x, int(y)) for x, y in zip(*kept, strict=True)]
    if readout.nearest == "mean":
        places = [(unit(kept.x[kept.y == label]).mean(0), label) for label in (0, 1)]
    wanted = [min(places, key=lambda place, x=x: apart(place[0], x))[1] for x in asked]
    assert nearest_label(kept, asked, readout, 2).tolist() == wanted


@pytest.mark.parametrize("scale", [0.0, 10.0])
def test_the_prototypes_loss_is_the_mean_of_each_task_s_cross_entropy(scale: float):
    model = sequence_model(mlp((64, 40, 6)), nn.functional.cross_entropy)
    theta = one(model.init(1, generator=seeded(0)))
    support = Batch(torch.randn(3, 6, 64, generator=seeded(1)), torch.tensor([0, 1, 2] * 2).expand(3, -1))
    query = Batch(torch.randn(3, 4, 64, generator=seeded(2)), torch.tensor([2, 0, 1, 1]).expand(3, -1))
    losses = []
    for task in range(3):
        near, asked = (model.predict(theta, part.x[task], 0) for part in (support, query))
        means = torch.stack([near[support.y[task] == label].mean(0) for label in range(3)])
        if scale:
            logits = scale * nn.functional.cosine_similarity(asked[:, None], means[None], dim=-1)
        else:
            logits = -torch.cdist(asked, means).square()
        losses.append(nn.functional.cross_entropy(logits, query.y[task]))
    assert float(prototype_loss(model, theta, support, query, 3, scale)) == pytest.approx(
        float(torch.stack(losses).mean()), rel=1e-4
    )


def test_trained_prototypes_tell_old_tasks_better_than_random_ones():
    tasks, seen = draw("relabelled", 3, seeded(0))
    model = make_model("relabelled", "prototypical")
    starts = model.init(3, generator=seeded(1))
    inner = Inner(0.1, 0, 10, 20, 10)
    trained = train_prototypes(model, starts, seen, inner, scale=10.0, steps=40, lr=0.01, generator=seeded(2))
    readout = Readout("outputs", "cosine", "mean")
    before, after = (
        lookup_errors("relabelled", "prototypical", model, params, tasks, readout)[1].mean()
        for params in (starts, trained)
    )
    assert after < before - 0.1


def test_looking_up_reads_all_old_tasks_together_one_alone_or_the_new_one():
    tasks, _ = draw("pairs", 2, seeded(0))
    model = make_model("pairs", "joint, heads, features")
    params, readout = model.init(2, generator=seeded(1)), Readout("probabilities", "cosine", "example")
    found = lookup_errors("pairs", "joint, heads, features", model, params, tasks, readout)
    for sequence in range(2):
        mine = {name: p[sequence] for name, p in params.items()}

        def read(batch, first=None, mine=mine, sequence=sequence):
            x, y = (part[sequence] for part in batch)
            return Batch(features(model, mine, x, "probabilities", 4)[:first], y[:first])

        kept, asked = (
            [read(of_task(part, i), n) for i in range(5)] for part, n in ((tasks.support, 10), (tasks.query, None))
        )

        def wrong(memory, query):
            return float((nearest_label(memory, query.x, readout, 2) != query.y).float().mean())

        every = Batch(torch.cat([k.x for k in kept[:4]]), torch.cat([k.y for k in kept[:4]]))
        wanted = (
            sum(wrong(every, asked[i]) for i in range(4)) / 4,
            sum(wrong(kept[i], asked[i]) for i in range(4)) / 4,
            wrong(kept[4], asked[4]),
        )
        assert [float(part[sequence]) for part in found] == pytest.approx(wanted, abs=0.011)
