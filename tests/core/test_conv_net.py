"""The convolutional network, against sums written with loops; and who is read when an image is judged."""

import re

import pytest
import torch
from oracles import random_theta, seeded
from torch import nn
from torch.testing import assert_close

from mapping_lib.networks import conv_net, functional


def layer_by_loops(x, weight, bias) -> torch.Tensor:
    """A 3 x 3 convolution in steps of two with a margin of zeros, and a ReLU; ``x (channel, side, side)``."""
    side = x.shape[-1]
    out = torch.zeros(len(weight), -(-side // 2), -(-side // 2), dtype=x.dtype)
    for f in range(len(weight)):
        for row in range(out.shape[1]):
            for column in range(out.shape[2]):
                total = float(bias[f])
                for i in range(3):
                    for j in range(3):
                        r, c = 2 * row + i - 1, 2 * column + j - 1
                        if 0 <= r < side and 0 <= c < side:
                            total += float(weight[f, :, i, j] @ x[:, r, c])
                out[f, row, column] = max(total, 0.0)
    return out


def test_without_normalisation_it_is_its_layers_by_loops():
    network = conv_net(3, (2, 3, 2, 2)).double()
    theta = random_theta(network)
    x = torch.randn(2, 1, 28, 28, generator=seeded(0), dtype=torch.float64)
    expected = []
    for image in x:
        h = image
        for i in (0, 2, 4, 6):
            h = layer_by_loops(h, theta[f"{i}.weight"], theta[f"{i}.bias"])
        expected.append(theta["9.weight"] @ h.flatten() + theta["9.bias"])
    assert_close(functional(network).predict(theta, x), torch.stack(expected))


def test_batch_normalisation_reads_the_whole_batch_and_group_normalisation_one_image():
    x = torch.rand(6, 1, 28, 28, generator=seeded(1))
    for norm, leaks in (("none", False), ("group", False), ("batch", True)):
        net = functional(conv_net(3, (4, 4, 4, 4), norm=norm))
        theta = net.init(generator=seeded(0))
        together, alone = net.predict(theta, x), torch.cat([net.predict(theta, image[None]) for image in x])
        assert torch.allclose(together, alone, atol=1e-5) != leaks


def test_a_normalised_layer_has_mean_zero_and_variance_one():
    x = torch.rand(6, 1, 28, 28, generator=seeded(1))
    batch = conv_net(3, (8,), norm="batch")[:2](x)
    assert_close(batch.mean((0, 2, 3)), torch.zeros(8), atol=1e-5, rtol=0)
    group = conv_net(3, (8,), norm="group")[:2](x).view(6, 4, -1)
    assert_close(group.mean(-1), torch.zeros(6, 4), atol=1e-5, rtol=0)
    assert_close(group.var(-1, correction=0), torch.ones(6, 4), atol=0.02, rtol=0)


@pytest.mark.parametrize(("layers", "left"), [(1, 196), (2, 49), (3, 16), (4, 4), (5, 1)])
def test_the_last_layer_fits(layers: int, left: int):
    network = conv_net(7, (4,) * layers)
    assert network[-1].in_features == 4 * left
    assert network(torch.zeros(2, 1, 28, 28)).shape == (2, 7)
    assert sum(isinstance(m, nn.Conv2d) for m in network) == layers


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: conv_net(0), "n_out is 0; allowed: a whole number, 1 or more"),
        (lambda: conv_net(5, ()), "filters is (); allowed: one to five numbers, one for each layer"),
        (lambda: conv_net(5, (4,) * 6), "allowed: one to five numbers, one for each layer"),
        (lambda: conv_net(5, (4, 0)), "filters[1] is 0; allowed: a whole number, 1 or more"),
        (lambda: conv_net(5, norm="layer"), "norm is 'layer'; allowed: 'none', 'group', 'batch'"),
    ],
)
def test_wrong_arguments_are_named(call, message: str):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
