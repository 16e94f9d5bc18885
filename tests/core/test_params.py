"""Arithmetic with parameters, and parameters as one vector, against numpy and what `oracles` does."""

import numpy as np
import oracles
import torch
from oracles import FLOAT64, float64_mlp, random_theta
from torch.testing import assert_close

from mapping_lib.params import as_params, copied, difference, dot, flat, norm

THETA = {"gain": torch.tensor(0.5).double()} | random_theta(float64_mlp(2, 4, 3))  # one without dimensions
OTHER = {"gain": torch.tensor(-2.0).double()} | random_theta(float64_mlp(2, 4, 3), seed=1)
SHAPES = {name: p.shape for name, p in THETA.items()}


def test_a_vector_holds_all_numbers_in_order_and_can_be_cut_up_again():
    vector = flat(THETA)
    assert vector.tolist() == [number for p in THETA.values() for number in np.ravel(p.numpy())]
    back = as_params(vector, SHAPES)
    assert list(back) == list(THETA)
    assert_close(back, oracles.unflat(vector, THETA), rtol=0, atol=0)
    assert_close(back, THETA, rtol=0, atol=0)


def test_shapes_may_be_plain_tuples_and_may_hold_nothing():
    parts = as_params(torch.arange(4.0), {"none": (0, 2), "w": (3, 1), "b": ()})
    assert {name: p.tolist() for name, p in parts.items()} == {"none": [], "w": [[0.0], [1.0], [2.0]], "b": 3.0}


def test_gradients_pass_through_the_vector():
    leaf = flat(THETA).requires_grad_()
    total = sum((p * OTHER[name]).sum() for name, p in as_params(leaf, SHAPES).items())
    assert_close(torch.autograd.grad(total, leaf)[0], flat(OTHER), **FLOAT64)


def test_arithmetic_is_that_of_vectors():
    a, b = flat(THETA).numpy(), flat(OTHER).numpy()
    assert_close(float(dot(THETA, OTHER)), float(np.vdot(a, b)), **FLOAT64)
    assert_close(float(norm(THETA)), float(np.linalg.norm(a)), **FLOAT64)
    assert_close(flat(difference(THETA, OTHER)).numpy(), a - b, **FLOAT64)


def test_a_copy_shares_neither_memory_nor_history():
    theta = {name: p.clone().requires_grad_() for name, p in THETA.items()}
    copy = copied(theta)
    assert_close(copy, THETA, rtol=0, atol=0)
    assert not any(p.requires_grad for p in copy.values())
    for p in copy.values():
        p.add_(1.0)
    assert_close(copied(theta), THETA, rtol=0, atol=0)
