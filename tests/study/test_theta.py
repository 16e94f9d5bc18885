"""Stored theta: what is saved is read back, what is damaged is refused, and what is shipped is as good as it says."""

import pathlib
import re

import numpy as np
import pytest
import torch
from stored import BEST_STEP, MAPPING_BELOW, MEDIAN_BELOW, STEPS_OF, TRAINED, adapted, judged
from torch import nn

from mapping_lib.chapters.other_mappings.methods import bayes_ridge
from mapping_lib.evaluation import evaluate_by_step
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.study.sinusoids import LEARNERS, MAPPINGS, SEEDS, shipped
from mapping_lib.study.theta import load_settings, load_theta, save_theta

THETA = {"0.weight": torch.tensor([[1.5, -2.0]]), "0.bias": torch.tensor([0.25])}


def test_what_is_saved_is_read_back_bit_for_bit(tmp_path):
    path = save_theta(tmp_path / "mine.npz", THETA, alpha=0.01, note="β")
    theta = load_theta(path, like=THETA)
    assert theta.keys() == THETA.keys()
    assert all(torch.equal(theta[name], THETA[name]) for name in THETA)
    assert load_settings(path) == {"alpha": 0.01, "note": "β"}


def test_saving_twice_gives_the_same_bytes(tmp_path):
    first, second = (save_theta(tmp_path / f"{i}.npz", THETA, seed=0).read_bytes() for i in (1, 2))
    assert first == second


@pytest.mark.parametrize("name", ["mine", "mine.npz", "mine.NPZ", "a.b", "θ"])
def test_the_path_returned_is_the_one_written(tmp_path, monkeypatch, name: str):
    monkeypatch.chdir(tmp_path)
    path = save_theta(name, THETA)
    assert [path] == [entry.relative_to(tmp_path) for entry in tmp_path.iterdir()] == [pathlib.Path(name)]
    assert torch.equal(load_theta(name)["0.weight"], THETA["0.weight"])


def test_numpy_reads_the_file_too(tmp_path):
    with np.load(save_theta(tmp_path / "mine.npz", THETA), allow_pickle=False) as file:
        assert np.array_equal(file["0.weight"], THETA["0.weight"].numpy())


def bits(tensor: torch.Tensor) -> bytes:
    return tensor.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes()


DTYPES = [torch.bfloat16, torch.float8_e4m3fn, torch.float16, torch.float64, torch.int32, torch.bool, torch.complex64]


@pytest.mark.parametrize("shape", [(3, 4), (), (0, 2)], ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype_comes_back_bit_for_bit(tmp_path, dtype: torch.dtype, shape: tuple[int, ...]):
    p = (100 * torch.randn(shape, generator=torch.Generator().manual_seed(0))).to(dtype)
    back = load_theta(save_theta(tmp_path / "mine.npz", {"w": p, "v": torch.zeros(2)}))
    assert (back["w"].dtype, back["w"].shape, back["v"].dtype) == (dtype, p.shape, torch.float32)
    assert bits(back["w"]) == bits(p)


@pytest.mark.parametrize(
    "p",
    [
        torch.arange(6.0).view(2, 3).T,
        torch.arange(6.0)[::2],
        torch.tensor(2.0).expand(3, 2),
        torch.ones(2, requires_grad=True),
        nn.Parameter(torch.ones(2, dtype=torch.bfloat16))[:1],
        torch.tensor([1 + 2j]).conj(),
    ],
    ids=["transposed", "with gaps", "expanded", "requires grad", "a slice of a parameter", "conjugated"],
)
def test_every_layout_comes_back(tmp_path, p: torch.Tensor):
    assert torch.equal(load_theta(save_theta(tmp_path / "mine.npz", {"w": p}))["w"], p)


@pytest.mark.parametrize("name", ["file", "allow_pickle", "args", "path", "a/b", "../x", "x.npy", "", "β", "SETTINGS"])
def test_every_name_comes_back_whatever_numpy_calls_its_arguments(tmp_path, name: str):
    theta = {name: torch.ones(2), "x": torch.zeros(1)}
    back = load_theta(save_theta(tmp_path / "mine.npz", theta))
    assert back.keys() == theta.keys()
    assert back[name].tolist() == [1.0, 1.0]


def test_a_theta_without_tensors_comes_back(tmp_path):
    assert load_theta(save_theta(tmp_path / "mine.npz", {}, alpha=1.0)) == {}


def test_settings_become_plain_values(tmp_path):
    given = {
        "alpha": torch.tensor(0.5, requires_grad=True),
        "alphas": torch.tensor([0.25, 0.5], dtype=torch.bfloat16),
        "seed": np.int64(3),
        "betas": np.array([1.0, 2.0]),
        "share": np.float32(0.5),
        "data": pathlib.PurePosixPath("a/b"),
        "deep": {"k": [np.bool_(True), torch.tensor(2)]},
        "path": None,
        "theta": "the name of an argument",
    }
    wanted = {
        "alpha": 0.5,
        "alphas": [0.25, 0.5],
        "seed": 3,
        "betas": [1.0, 2.0],
        "share": 0.5,
        "data": "a/b",
        "deep": {"k": [True, 2]},
        "path": None,
        "theta": "the name of an argument",
    }
    assert load_settings(save_theta(tmp_path / "mine.npz", THETA, **given)) == wanted


NOT_STORED = [
    (lambda f: save_theta(f / "none" / "a.npz", THETA), FileNotFoundError, "there is no folder '"),
    (lambda f: save_theta(f, THETA), ValueError, "which is a folder; allowed: the name of a file"),
    (lambda f: save_theta(THETA, f / "a.npz"), TypeError, "path is a dict; allowed: the name of a file"),
    (lambda f: save_theta(f / "a", nn.Linear(1, 1)), TypeError, "dict(module.named_parameters())"),
    (lambda f: save_theta(f / "a", {"w": np.ones(2)}), TypeError, "theta['w'] is a numpy.ndarray; allowed: a tensor"),
    (lambda f: save_theta(f / "a", {"w": [1.0]}), TypeError, "theta['w'] is a list; allowed: a tensor. Make it one"),
    (lambda f: save_theta(f / "a", {1: torch.ones(2)}), TypeError, "theta has the name 1; allowed: text"),
    (lambda f: save_theta(f / "a", {"w": torch.ones(2, device="meta")}), ValueError, "theta['w'] is on meta"),
    (lambda f: save_theta(f / "a", {"w": torch.eye(2).to_sparse()}), ValueError, "theta['w'] is on cpu, torch.sparse"),
    (lambda f: save_theta(f / "a", THETA, loss=max), TypeError, "the setting loss cannot be stored (<built-in"),
    (lambda f: save_theta(f / "a", THETA, deep={"k": {1, 2}}), TypeError, "the setting deep cannot be stored ({1, 2}"),
    (lambda f: load_theta(f / "none" / "a.npz"), FileNotFoundError, "no file is there"),
    (lambda f: load_theta(f), ValueError, "which cannot be read as a theta"),
    (lambda f: load_theta(None), TypeError, "path is a NoneType; allowed: the name of a file"),
    (lambda f: load_theta(f / "a", like=nn.Linear(1, 1)), TypeError, "like is a Linear; allowed: a dict of tensors"),
]


@pytest.mark.parametrize(("call", "kind", "message"), NOT_STORED, ids=[message for *_, message in NOT_STORED])
def test_what_cannot_be_stored_is_named_and_nothing_is_written(tmp_path, call, kind, message: str):
    with pytest.raises(kind, match=re.escape(message)):
        call(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_save_leaves_the_old_file(tmp_path):
    path = save_theta(tmp_path / "mine.npz", THETA)
    with pytest.raises(TypeError, match="the setting loss"):
        save_theta(path, {"w": torch.ones(1)}, loss=max)
    assert load_theta(path).keys() == THETA.keys()


def test_a_missing_file_is_named_with_the_command_that_makes_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"path is '.*none\.npz'.*allowed: .*python -m mapping_lib\.study"):
        load_theta(tmp_path / "none.npz")


@pytest.mark.parametrize("kept", [0, 10, 100, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path, kept):
    path = save_theta(tmp_path / "cut.npz", THETA)
    whole = path.read_bytes()
    path.write_bytes(whole[: kept if isinstance(kept, int) else int(kept * len(whole))])
    with pytest.raises(ValueError, match=r"path is '.*cut\.npz', which cannot be read as a theta"):
        load_theta(path)


def test_a_flipped_byte_is_noticed(tmp_path):
    path = save_theta(tmp_path / "flipped.npz", {"w": torch.arange(1000.0)})
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 0xFF
    path.write_bytes(whole)
    with pytest.raises(ValueError, match="cannot be read as a theta"):
        load_theta(path)


def test_other_files_are_refused(tmp_path):
    array, text = tmp_path / "array.npy", tmp_path / "text.npz"
    np.save(array, np.zeros(3))
    text.write_text("not a theta")
    for path in (array, text):
        with pytest.raises(ValueError, match="cannot be read as a theta"):
            load_theta(path)


def test_pickled_objects_are_never_loaded(tmp_path):
    path = tmp_path / "pickled.npz"
    np.savez(path, w=np.array([{"code": "runs"}], dtype=object), settings=np.array("{}"))
    with pytest.raises(ValueError, match="cannot be read as a theta"):
        load_theta(path)


@pytest.mark.parametrize(
    ("like", "message"),
    [
        ({**THETA, "0.bias": torch.zeros(2)}, r"'0\.bias' has shape \(1,\); allowed: \(2,\)"),
        ({"0.weight": THETA["0.weight"]}, r"'0\.bias' has shape \(1,\); allowed: None"),
        ({**THETA, "2.bias": torch.zeros(1)}, r"'2\.bias' has shape None; allowed: \(1,\)"),
    ],
    ids=["another shape", "a tensor too many", "a tensor too few"],
)
def test_a_theta_of_another_shape_is_refused(tmp_path, like, message):
    path = save_theta(tmp_path / "mine.npz", THETA)
    with pytest.raises(ValueError, match=message):
        load_theta(path, like=like)


def test_the_name_of_the_settings_is_taken(tmp_path):
    with pytest.raises(ValueError, match="allowed: any other name"):
        save_theta(tmp_path / "mine.npz", {"settings": torch.zeros(1)})


def test_unknown_names_and_seeds_are_refused():
    with pytest.raises(ValueError, match=r"name is 'mamml'; allowed: 'maml', 'fomaml'"):
        shipped("mamml")
    with pytest.raises(FileNotFoundError, match="sinusoid_maml_7"):
        shipped("maml", 7)


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("seed", SEEDS)
def test_every_shipped_theta_adapts(name, seed):
    step, errors = BEST_STEP[name], adapted(name, seed)
    assert errors.median[step] < MEDIAN_BELOW[name]
    assert errors.median[step] < 0.9 * errors.median[0]


# The mappings ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MAPPINGS)
def test_every_shipped_mapping_fits_its_learner(name):
    learner, theta = shipped(name)
    assert theta.keys() == learner.init(generator=torch.Generator().manual_seed(0)).keys()
    assert {p.dtype for p in theta.values()} == {torch.float32}
    assert all(bool(p.isfinite().all()) for p in theta.values())


@pytest.mark.parametrize("k_shot", [5, 10])
@pytest.mark.parametrize("name", MAPPINGS)
def test_every_shipped_mapping_knows_its_task(name, k_shot: int):
    steps, errors = STEPS_OF.get(name, 0), judged(name, k_shot)
    assert errors.median[steps] < MAPPING_BELOW[name][k_shot]
    if steps:
        assert errors.median[steps] < 0.7 * errors.median[0]


def test_a_rule_alone_keeps_its_start_and_beats_the_gradient_descent_that_it_began_as():
    _, theta = shipped("rule_alone")
    joint, start = shipped("joint")
    assert all(torch.equal(theta[name], p) for name, p in start.items())
    rule, descent = judged("rule_alone", 10), judged("rule_alone", 10, joint, start)
    assert rule.median[0] == pytest.approx(float(descent.median[0]), rel=1e-5)
    assert rule.median[5] < 0.9 * descent.median[5]


@pytest.mark.parametrize("k_shot", [0, 1, 5, 10])
def test_lines_in_context_come_near_the_bayes_answer_and_do_not_beat_it(k_shot: int):
    family = MAPPINGS["lines_in_context"].family.family
    bayes = bayes_ridge(weight=family.weight, intercept=family.intercept, noise=family.noise)
    found, best = judged("lines_in_context", k_shot), judged("lines_in_context", k_shot, bayes, {})
    assert 0.97 * best.mean[0] < found.mean[0] < 1.1 * best.mean[0]


@pytest.mark.parametrize("name", MAPPINGS)
def test_a_mapping_begins_to_learn_by_its_recipe(name):
    """Its first outer steps are those that made it: from the same start, with the same family and learner."""
    training = MAPPINGS[name]
    first, again = (next(training.stream(seed=0)) for _ in range(2))
    assert first.meta_loss == again.meta_loss
    assert all(torch.equal(first.theta[n], again.theta[n]) for n in first.theta)
    for n, p in training.start().items():
        assert (first.theta[n] - p).abs().max() <= 1.01 * training.beta  # Adam's first step


def test_a_recipe_trains_what_it_ships():
    """The first 200 outer steps of a recipe lower the 1-step error; its rate follows the whole schedule."""
    training = LEARNERS["maml"]._replace(outer_steps=200)
    generator = torch.Generator().manual_seed(11)
    theta = training.theta(seed=0)
    before = training.learner().init(generator=torch.Generator().manual_seed(0))
    old, new = (
        evaluate_by_step(training.learner(), params, Sinusoids(), k_shot=5, steps=1, n_tasks=200, generator=g)
        for params, g in ((before, generator), (theta, torch.Generator().manual_seed(11)))
    )
    assert new.mean[1] < 0.8 * old.mean[1]
