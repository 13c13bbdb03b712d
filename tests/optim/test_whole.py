"""Rules over whole parameters, beside PyTorch's and optax's; and rules that only optax has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import optim
from tests.optim.problems import arrays, give, gradients, tensors

# -- optax -------------------------------------------------------------------------------------------------------


def optax_of(name: str, o: dict[str, Any]) -> Any:
    """The optimizer of optax that a configuration of ours stands for."""
    optax = pytest.importorskip("optax")
    b1, b2 = o.get("betas", (0.9, 0.999))
    if name == "Lion":
        b1, b2 = o.get("betas", (0.9, 0.99))
        return optax.lion(o["lr"], b1=b1, b2=b2, weight_decay=o.get("weight_decay", 0.0))
    if name == "LAMB":
        return optax.lamb(o["lr"], b1=b1, b2=b2, eps=o.get("eps", 1e-6), weight_decay=o.get("weight_decay", 0.01))
    more = {key: o[key] for key in ("weight_decay", "trust_coefficient", "eps", "momentum", "nesterov") if key in o}
    return optax.lars(o["lr"], **more)


OPTAX: list[tuple[str, dict[str, Any]]] = [
    ("Lion", {"lr": 0.01}),
    ("Lion", {"lr": 0.05, "betas": (0.8, 0.7), "weight_decay": 0.1}),
    ("LAMB", {"lr": 0.01}),
    ("LAMB", {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.0}),
    ("LARS", {"lr": 1.0}),
    ("LARS", {"lr": 0.5, "momentum": 0.5, "weight_decay": 0.1, "trust_coefficient": 0.01, "eps": 0.1}),
    ("LARS", {"lr": 0.5, "nesterov": True, "trust_coefficient": 0.1}),
]


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize(("name", "options"), OPTAX, ids=[f"{n}-{'-'.join(o)}" for n, o in OPTAX])
def test_follows_optax_over_30_steps(name: str, options: dict[str, Any], maximize: bool) -> None:
    jax = pytest.importorskip("jax")
    optax = pytest.importorskip("optax")
    with jax.enable_x64(True):
        other = optax_of(name, options)
        ours = tensors()
        ours[1].data = np.zeros(4)  # a parameter of norm 0
        mine = getattr(optim, name)(ours, **options, maximize=maximize)
        theirs = [jax.numpy.asarray(p.data) for p in ours]
        state = other.init(theirs)
        for step in range(30):
            grads = [np.random.default_rng([step, i]).normal(size=p.shape) for i, p in enumerate(ours)]
            grads[3] *= step > 2  # a gradient of norm 0
            give(ours, grads)
            mine.step()
            sign = -1.0 if maximize else 1.0
            updates, state = other.update([sign * jax.numpy.asarray(g) for g in grads], state, theirs)
            theirs = optax.apply_updates(theirs, updates)
            for p, q in zip(ours, theirs, strict=True):
                np.testing.assert_allclose(p.data, np.asarray(q), rtol=1e-10, atol=1e-12, err_msg=f"step {step}")


def test_lamb_without_correction_and_with_a_limit_by_hand() -> None:
    w = tn.tensor([3.0, 4.0], requires_grad=True)
    opt = optim.LAMB([w], lr=0.1, weight_decay=0.0, eps=0.0, bias_correction=False, trust_clip=True)
    w.grad = np.array([1.0, -1.0])
    opt.step()
    # m/√v is 0.1/√0.001 for both; the ratio 5/(4.47) is cut to 1.
    np.testing.assert_allclose(w.data, [3 - 0.1 * 0.1 / np.sqrt(0.001), 4 + 0.1 * 0.1 / np.sqrt(0.001)])


# -- PyTorch -----------------------------------------------------------------------------------------------------


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> Any:
    """PyTorch with float64 where Muon takes bfloat16, so that its digits can be compared."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda self: self.clone())  # by PyTorch 2.13
    monkeypatch.setattr(torch, "bfloat16", torch.float64)  # by 2.15
    return torch


MUON: list[dict[str, Any]] = [
    {},
    {"lr": 0.1, "weight_decay": 0.0, "momentum": 0.5, "nesterov": False},
    {"lr": 0.1, "ns_steps": 3, "ns_coefficients": (2.0, -1.5, 0.5), "adjust_lr_fn": "match_rms_adamw"},
    {"lr": 0.1, "adjust_lr_fn": "original", "eps": 10.0},
]


@pytest.mark.parametrize("options", MUON, ids="-".join)
def test_muon_follows_torch(options: dict[str, Any], torch: Any) -> None:
    values = [np.random.default_rng(i).normal(size=s) for i, s in enumerate([(4, 3), (3, 5), (1, 4), (6, 1)])]
    ours = [tn.tensor(a, requires_grad=True) for a in values]
    theirs = [torch.nn.Parameter(torch.from_numpy(a.copy())) for a in values]
    mine, other = optim.Muon(ours, **options), torch.optim.Muon(theirs, **options)
    for step in range(30):
        for p, q in zip(ours, theirs, strict=True):
            g = np.random.default_rng([step, p.size]).normal(size=p.shape)
            p.grad, q.grad = g, torch.from_numpy(g)
        mine.step()
        other.step()
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-9)
    buffer = other.state_dict()["state"][0]["momentum_buffer"]
    np.testing.assert_allclose(mine.state_dict()["state"][0]["momentum_buffer"], buffer, rtol=1e-12)


@pytest.mark.parametrize(("shape", "ratio"), [((1, 4), 0.5), ((4, 1), 1.0), ((3, 3), 1.0)])
def test_muon_without_a_clamp_is_shorter_for_wide_matrices_alone(shape: tuple[int, int], ratio: float) -> None:
    """PyTorch has this factor from 2.15 on."""
    steps = []
    for name in ("original", "spectral_unclamped"):
        w = tn.tensor(np.zeros(shape), requires_grad=True)
        w.grad = np.random.default_rng(0).normal(size=shape)
        optim.Muon([w], lr=1.0, adjust_lr_fn=name).step()
        steps.append(w.data)
    np.testing.assert_allclose(steps[1], ratio * steps[0], rtol=1e-12)


def test_muon_ascends() -> None:
    value = np.arange(6.0).reshape(2, 3)
    down, up = (tn.tensor(value, requires_grad=True) for _ in range(2))
    down.grad, up.grad = value - 2, 2 - value
    optim.Muon([down]).step()
    optim.Muon([up], maximize=True).step()
    np.testing.assert_array_equal(down.data, up.data)


@pytest.mark.parametrize("options", [{}, {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-2, "maximize": True}], ids="-".join)
@pytest.mark.parametrize("shape", [(7, 3), (6,), (5, 2, 2)], ids=str)
def test_sparse_adam_follows_torch(options: dict[str, Any], shape: tuple[int, ...], torch: Any) -> None:
    value = np.random.default_rng(0).normal(size=shape)
    p = tn.tensor(value.copy("F"), requires_grad=True)
    q = torch.nn.Parameter(torch.from_numpy(value.copy()))
    mine, other = optim.SparseAdam([p], **options), torch.optim.SparseAdam([q], **options)
    for step in range(30):
        r = np.random.default_rng(step)
        rows = r.choice(shape[0], size=step % 4, replace=False)
        values = r.normal(size=(len(rows), *shape[1:]))
        g = np.zeros(shape)
        g[rows] = values
        p.grad = g
        q.grad = torch.sparse_coo_tensor(
            torch.from_numpy(rows[None]), torch.from_numpy(values), shape, check_invariants=True
        )
        before = p.data.copy()
        mine.step()
        other.step()
        untouched = np.setdiff1d(np.arange(shape[0]), rows)
        np.testing.assert_array_equal(p.data[untouched], before[untouched])
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-12)
    theirs = other.state_dict()["state"][0]
    for name in ("exp_avg", "exp_avg_sq"):
        np.testing.assert_allclose(mine.state_dict()["state"][0][name], theirs[name].numpy(), rtol=1e-12)


def test_sparse_adam_reads_few_rows() -> None:
    """A nan in a row that the gradient does not touch would be found by whoever reads all of them."""
    value = np.ones((5, 2))
    p = tn.tensor(value, requires_grad=True)
    opt = optim.SparseAdam([p], lr=0.1)
    opt.slots[0].state["exp_avg"].data[3] = np.nan
    tn.embedding(np.array([0, 2]), p).sum().backward()
    with np.errstate(all="raise"):
        opt.step()
    np.testing.assert_array_equal(np.isnan(opt.slots[0].state["exp_avg"].data).any(axis=1), [0, 0, 0, 1, 0])
    scalar = tn.tensor(2.0, requires_grad=True)
    opt = optim.SparseAdam([scalar], lr=0.1)
    for g, expected in ((1.0, 1.9), (0.0, 1.9)):
        scalar.grad = g
        opt.step()
        assert scalar.item() == pytest.approx(expected, rel=1e-6)


# -- what the base of them does ----------------------------------------------------------------------------------


ALL = [
    ("Adafactor", {"lr": 0.1}),
    ("LAMB", {"lr": 0.1}),
    ("LARS", {"lr": 0.1}),
    ("SparseAdam", {"lr": 0.1}),
]


@pytest.mark.parametrize(
    ("name", "options"), [*ALL, ("Lion", {"lr": 0.1})], ids=lambda v: v if isinstance(v, str) else ""
)
def test_float32_stays_and_memory_orders_do_not_matter(name: str, options: dict[str, Any]) -> None:
    ours, plain = tensors(np.float32), [tn.tensor(a.copy(), requires_grad=True) for a in arrays(np.float32)]
    strides = [p.data.strides for p in ours]
    opts = [getattr(optim, name)(ps, **options) for ps in (ours, plain)]
    for step in range(5):
        grads = gradients(step, np.float32)
        for ps, opt in zip((ours, plain), opts, strict=True):
            give(ps, grads)
            opt.step()
    assert [p.data.strides for p in ours] == strides
    assert all(t.dtype == np.float32 for slot in opts[0].slots for t in slot.state.values())
    for p, q in zip(ours, plain, strict=True):
        assert p.dtype == np.float32
        np.testing.assert_allclose(p.data, q.data, rtol=1e-5)


@pytest.mark.parametrize(("name", "options"), ALL, ids=[name for name, _ in ALL])
def test_a_loaded_state_continues_bit_for_bit(name: str, options: dict[str, Any]) -> None:
    whole, second = tensors(), tensors(seed=3)
    opt, other = (getattr(optim, name)(ps, **options) for ps in (whole, second))
    for step in range(5):
        give(whole, gradients(step))
        opt.step()
    other.load_state_dict(opt.state_dict())
    for p, q in zip(whole, second, strict=True):
        q.data = p.data
    for step in range(5, 10):
        for ps, o in ((whole, opt), (second, other)):
            give(ps, gradients(step))
            o.step()
    for p, q in zip(whole, second, strict=True):
        np.testing.assert_array_equal(p.data, q.data)
    np.testing.assert_equal(opt.state_dict(), other.state_dict())


def test_states_of_another_shape_are_checked() -> None:
    opt = optim.Adafactor(tensors())
    state = opt.state_dict()
    state["state"][0]["row_var"] = np.zeros((4, 3))
    del state["state"][1]["variance"]
    with pytest.raises(
        ValueError, match=r"row_var has shape \(4, 3\), this optimizer's \(4, 1\)\n.*missing 'variance'"
    ):
        opt.load_state_dict(state)


def test_parameters_stay_where_they_are_and_their_writes_are_noted() -> None:
    a = np.ones((2, 2))
    p = tn.asarray(a).requires_grad_()
    strided = np.zeros((2, 4))
    q = tn.asarray(strided[:, ::2]).requires_grad_()
    opt = optim.LAMB([p, q], lr=0.1)
    loss = (p * p).sum()
    p.grad = q.grad = np.ones((2, 2))
    opt.step()
    assert p.data is a
    assert (a < 1).all()
    assert (strided[:, ::2] < 0).all()
    assert not strided[:, 1::2].any()
    with pytest.raises(RuntimeError, match=r"changed in place by LAMB.step"):
        loss.backward()
    a.flags.writeable = False
    with pytest.raises(ValueError, match=r"parameter 0 .* read-only view .* storage of its own"):
        optim.LAMB([p])


def test_another_dtype_takes_the_state_along() -> None:
    p, q = (tn.tensor(np.ones((2, 2)), requires_grad=True) for _ in range(2))
    opt = optim.Muon([p, q])
    p.grad = q.grad = np.ones((2, 2))
    opt.step()
    before = opt.slots[0].state["momentum_buffer"].data.copy()
    p._rebind(p._data.astype(np.float32))
    p.grad = None
    opt.step()
    np.testing.assert_allclose(opt.slots[0].state["momentum_buffer"].data, before, rtol=1e-6)
    assert opt.slots[0].state["momentum_buffer"].dtype == np.float32
    assert [slot.step for slot in opt.slots] == [1, 2]


def test_what_a_rule_branches_on_may_change() -> None:
    p, q = (tn.tensor(np.eye(2), requires_grad=True) for _ in range(2))
    changed, fresh = optim.Muon([p]), optim.Muon([q], nesterov=False, ns_steps=2)
    changed.groups[0]["nesterov"] = False
    changed.groups[0]["ns_steps"] = 2
    p.grad = q.grad = np.array([[1.0, 2.0], [0.5, -1.0]])
    for opt in (changed, fresh, changed, fresh):
        opt.step()
    np.testing.assert_array_equal(p.data, q.data)


def test_a_rule_must_return_the_states_it_was_given() -> None:
    class Forgetful(optim.WholeOptimizer):
        def states(self, options: Any) -> dict[str, float]:
            return {"a": 0.0}

        @staticmethod
        def rule(p: Any, g: Any, state: Any, s: Any) -> Any:
            return p, {}

    p = tn.tensor([1.0], requires_grad=True)
    p.grad = np.ones(1)
    with pytest.raises(TypeError, match=r"Forgetful.rule returned the states none, and was given 'a'"):
        Forgetful([p], lr=0.1).step()


@pytest.mark.parametrize(
    ("rule", "error", "message"),
    [
        (
            lambda p, g, st, s: p - g,
            TypeError,
            r"returned one value alone: .*new parameter and a dict of its new state",
        ),
        (lambda p, g, st, s: (p.sum(), {}), ValueError, r"returned the shape \(\) for the parameter, which has \(2,\)"),
        (lambda p, g, st, s: (p - s["rate"], {}), TypeError, r"asks for 'rate': .* of scalars\(\) 'lr'"),
        (lambda p, g: (p - g, {}), TypeError, r"takes \(p, g\): a rule takes the parameter, its gradient"),
    ],
)
@pytest.mark.parametrize("compiled", [False, True])
def test_a_wrong_rule_of_whole_parameters_says_so(
    rule: Any, error: type[Exception], message: str, compiled: bool
) -> None:
    kind = type("Mine", (optim.WholeOptimizer,), {"rule": staticmethod(rule)})
    p = tn.tensor([1.0, 2.0], requires_grad=True)

    def step() -> tn.Tensor:
        loss = (p * p).sum()
        loss.backward()
        opt.step()
        return loss

    def run() -> None:
        nonlocal opt
        opt = kind([p], lr=0.1)
        (tn.compile(step) if compiled else step)()

    opt: Any = None
    with pytest.raises(error, match=message):
        run()
    np.testing.assert_array_equal(p.data, [1.0, 2.0])


@pytest.mark.parametrize("base", [optim.Optimizer, optim.WholeOptimizer])
@pytest.mark.parametrize(
    ("methods", "error", "message"),
    [
        ({}, NotImplementedError, r"defines `rule\(p, g, state, s\)` under @staticmethod.*WholeOptimizer"),
        ({"states": ["m"]}, TypeError, r"Mine.states returned a list of 1: it returns a dict .* \{\"mean\": 0.0\}"),
        ({"states": {"m": np.zeros(2)}}, TypeError, r"Mine.states: 'm' is a ndarray, and must be a number"),
        ({"scalars": None}, TypeError, r"Mine.scalars returned None: it returns a dict of numbers"),
    ],
)
def test_what_a_class_must_say_of_its_rule(base: Any, methods: Any, error: type[Exception], message: str) -> None:
    body = {name: lambda *_, value=value: value for name, value in methods.items()}
    if methods:
        body["rule"] = staticmethod(lambda p, g, state, s: (p - g, state))
    kind = type("Mine", (base,), body)
    p = tn.tensor([1.0], requires_grad=True)
    p.grad = np.ones(1)
    with pytest.raises(error, match=message):
        kind([p], lr=0.1).step()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: optim.Muon(p), r"Muon: parameter 1 of shape \(4,\) has shape \(4,\), and Muon is for matrices"),
        (lambda p: optim.Muon(p[:1], ns_steps=100), r"ns_steps=100 must be in \[0, 100\)"),
        (lambda p: optim.Muon(p[:1], ns_coefficients=(1, 2)), r"ns_coefficients=\(1, 2\) must be three numbers"),
        (lambda p: optim.Muon(p[:1], adjust_lr_fn="other"), r"adjust_lr_fn='other' must be None or one of original"),
        (lambda p: optim.Adafactor(p, beta2_decay=0.1), r"-beta2_decay=-0.1 must be at least 0"),
        (lambda p: optim.Adafactor(p, d=0.5), r"d=0.5 must be at least 1"),
        (lambda p: optim.Adafactor(p, eps=(None, -1)), r"a number of eps=-1"),
        (lambda p: optim.LAMB(p, betas=(0.9, 1.0)), r"LAMB: a number of betas=1.0"),
        (lambda p: optim.LARS(p, trust_coefficient=-1), r"trust_coefficient=-1"),
        (lambda p: optim.SparseAdam(p, eps=-1), r"SparseAdam: eps=-1"),
        (lambda p: optim.Lion(p, betas=0.9), r"Lion: betas=0.9 must be two numbers"),
        (lambda p: optim.Rprop(p, etas=(1.0, 1.2)), r"etas=\(1.0, 1.2\) must be one number below 1 and one above"),
        (lambda p: optim.Rprop(p, step_sizes=(2, 1)), r"step_sizes=\(2, 1\) must be the smallest and the largest"),
        (lambda p: optim.NAdam(p, momentum_decay=-1), r"NAdam: momentum_decay=-1"),
        (lambda p: optim.RAdam(p, weight_decay=-1), r"RAdam: weight_decay=-1"),
        (lambda p: optim.Adamax(p, eps=-1), r"Adamax: eps=-1"),
        (lambda p: optim.Adadelta(p, rho=1.5), r"Adadelta: rho=1.5 must be in"),
        (lambda p: optim.ASGD(p, t0=-1), r"ASGD: t0=-1"),
    ],
)
def test_options_out_of_range(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(tensors())
