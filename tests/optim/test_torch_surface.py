"""What code for PyTorch asks of an optimizer besides its update: hooks, closures, options that change nothing, `.state`."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn, optim

#: Optimizers by what they need beside parameters.
ALL: dict[str, dict[str, Any]] = {name: {} for name in optim.__all__ if inspect.isclass(getattr(optim, name)) and issubclass(
    getattr(optim, name), optim.Optimizer) and name not in ("Optimizer", "WholeOptimizer")}  # fmt: skip
ELEMENTWISE = [name for name in ALL if name not in ("LBFGS", "SparseAdam")]


def made(name: str = "SGD", **options: Any) -> tuple[Any, Any]:
    w = tn.tensor(np.array([[1.0, -2.0], [0.5, 3.0]]), requires_grad=True)
    return w, getattr(optim, name)([w], lr=0.1, **options)


def loss_of(w: Any, opt: Any) -> Any:
    opt.zero_grad()
    loss = ((w - 0.25) ** 2).sum()
    loss.backward()
    return loss


# -- steps -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_a_step_may_compute_the_loss_itself(name: str) -> None:
    """Also where gradients are off around it; it gives the loss, and steps as ever."""
    (w, opt), (v, other) = made(name), made(name)
    for _ in range(3):
        with tn.no_grad():
            loss = opt.step(lambda: loss_of(w, opt))
        expected = loss_of(v, other)
        assert other.step() is None
        assert loss.item() == expected.item()
    np.testing.assert_array_equal(w.data, v.data)


def test_hooks_are_called_before_and_after_each_step() -> None:
    w, opt = made()
    calls: list[Any] = []
    before = opt.register_step_pre_hook(
        lambda o, args, kwargs: calls.append(("pre", o is opt, args, kwargs, w.data[0, 0]))
    )
    opt.register_step_post_hook(lambda o, args, kwargs: calls.append(("post", o is opt, args, kwargs, w.data[0, 0])))
    loss_of(w, opt)
    opt.step()
    assert calls == [("pre", True, (opt,), {}, 1.0), ("post", True, (opt,), {}, 1.0 - 0.1 * 1.5)]
    before.remove()
    opt.step()
    assert [call[0] for call in calls] == ["pre", "post", "post"]
    copy.deepcopy(opt).step()  # a copy has none
    assert len(calls) == 3


def test_a_hook_may_give_other_arguments() -> None:
    w, opt = made()
    with opt.register_step_pre_hook(lambda o, args, kwargs: ((o, lambda: loss_of(w, opt)), {})):
        assert opt.step().item() == ((np.array([[1.0, -2.0], [0.5, 3.0]]) - 0.25) ** 2).sum()
    with opt.register_step_pre_hook(lambda *given: 1), pytest.raises(TypeError, match=r"None or a pair .* not int"):
        opt.step()
    with pytest.raises(TypeError, match="a hook is a function, not int"):
        opt.register_step_post_hook(1)


def test_hooks_around_a_search() -> None:
    w = tn.tensor([1.0, 2.0], requires_grad=True)
    opt = optim.LBFGS([w])
    calls: list[str] = []
    opt.register_step_pre_hook(lambda *given: calls.append("pre"))
    opt.register_step_post_hook(lambda *given: calls.append("post"))
    first = opt.step(lambda: loss_of(w, opt))
    assert (calls, first.item()) == (["pre", "post"], 0.75**2 + 1.75**2)
    np.testing.assert_allclose(w.data, 0.25)
    with pytest.raises(TypeError, match="needs the loss as a function"):
        opt.step()


def test_a_hook_that_computes_is_part_of_a_compiled_step() -> None:
    """One that is registered later makes it be captured anew."""
    results = []
    for compiled in (False, True):
        w, opt = made("Adam")

        def step(w: Any = w, opt: Any = opt) -> None:
            loss_of(w, opt)
            opt.step()

        def halve(o: Any, args: Any, kwargs: Any) -> None:
            for group in o.param_groups:
                for p in group["params"]:
                    p.grad = p.grad / 2 + p * 0.1

        run = tn.compile(step) if compiled else step
        run()
        with opt.register_step_pre_hook(halve):
            run()
            run()
        run()
        results.append(w.numpy().copy())
    np.testing.assert_allclose(results[0], results[1], rtol=1e-12)


def test_gradients_may_be_filled_with_zeros() -> None:
    w, opt = made("SGD", momentum=0.9)
    opt.zero_grad(set_to_none=False)
    assert w.grad is None
    loss_of(w, opt)
    opt.step()
    opt.zero_grad(set_to_none=False)
    assert w.grad is not None
    assert not w.grad.data.any()
    before = w.data.copy()
    opt.step()  # the momentum goes on
    assert (w.data != before).all()
    opt.zero_grad()
    assert w.grad is None


def test_master_weights_step_with_a_closure_too() -> None:
    results = []
    for given in (True, False):
        net = nn.Linear(2, 1, rng=0).half()
        opt = optim.MasterWeights(optim.SGD, net, lr=0.1)

        def closure(net: Any = net, opt: Any = opt) -> Any:
            opt.zero_grad()
            loss = (net([[1.0, 2.0]]) ** 2).sum()
            loss.backward()
            return loss

        if given:
            assert opt.step(closure).item() > 0
        else:
            closure()
            assert opt.step() is None
        results.append(net.weight.numpy().copy())
    np.testing.assert_array_equal(*results)
    closure()
    opt.zero_grad(set_to_none=False)
    assert not any(p.grad.numpy().any() for p in net.parameters())


# -- options -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_options_that_change_nothing_are_taken(name: str) -> None:
    w = tn.tensor(np.eye(2), requires_grad=True)
    options = {"foreach": True, "fused": None, "capturable": True, "differentiable": False}
    for params in ([w], [{"params": [w], "fused": False}]):
        opt = getattr(optim, name)(params, lr=0.1, **options)
        assert not options.keys() & opt.groups[0].keys()
    with pytest.raises(ValueError, match=f"{name}: differentiable=True: updates are not recorded"):
        getattr(optim, name)([w], lr=0.1, differentiable=True)
    with pytest.raises(TypeError, match=f"{name}.. got an unexpected keyword argument 'forech'"):
        getattr(optim, name)([w], lr=0.1, forech=True)


def test_an_optimizer_of_ones_own_has_its_own_options() -> None:
    class Own(optim.Optimizer):
        def __init__(self, params: Any, lr: float = 0.1, foreach: int = 3) -> None:
            super().__init__(params, lr=lr)
            self.kept = foreach

        @staticmethod
        def rule(p: Any, g: Any, state: Any, s: Any) -> Any:
            return p - s["lr"] * g, {}

    class Fixed(optim.SGD):
        pass

    w, _ = made()
    assert Own([w], foreach=5).kept == 5
    assert Fixed([w], lr=0.1, foreach=False).lr == 0.1


def test_defaults_and_state_can_be_read() -> None:
    w, opt = made("SGD", momentum=0.9)
    assert opt.defaults == {"lr": 0.1, "momentum": 0.9, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False,
                            "maximize": False}  # fmt: skip
    assert optim.SGD(lr=0.5).defaults["lr"] == 0.5
    loss_of(w, opt)
    opt.step()
    assert opt.state[w]["step"] == 1
    with pytest.raises(TypeError):  # which would come to nothing
        opt.state[w]["step"] = 0
    with pytest.raises(AttributeError):
        opt.state.clear()
    with pytest.raises(TypeError):
        opt.defaults["lr"] = 0.2
    np.testing.assert_array_equal(opt.state[w]["momentum_buffer"].data, w.grad.data)
    opt.state[w]["momentum_buffer"].data = np.zeros((2, 2))  # the tensor that it works with
    w.grad = np.zeros((2, 2))
    before = w.data.copy()
    opt.step()
    np.testing.assert_array_equal(w.data, before)
    for group in opt.param_groups:
        group["lr"] = 0.5
    assert opt.lr == 0.5


# -- states ------------------------------------------------------------------------------------------------------


def test_hooks_of_the_state() -> None:
    w, opt = made()
    calls: list[str] = []
    opt.register_state_dict_pre_hook(lambda o: calls.append("before taking"))
    opt.register_state_dict_post_hook(lambda o, state: {**state, "note": 1})
    opt.register_state_dict_post_hook(lambda o, state: calls.append("first"), prepend=True)
    opt.register_load_state_dict_pre_hook(lambda o, state: {n: v for n, v in state.items() if n != "note"})
    opt.register_load_state_dict_post_hook(lambda o: calls.append("after loading"))
    loss_of(w, opt)
    opt.step()
    state = opt.state_dict()
    assert state["note"] == 1
    opt.load_state_dict(state)
    assert calls == ["before taking", "first", "after loading"]
    with pytest.raises(ValueError, match="unexpected 'note'"):
        made()[1].load_state_dict(state)


def test_the_first_rate_of_a_scheduler_is_no_part_that_must_fit() -> None:
    w, opt = made()
    optim.lr_scheduler.StepLR(opt, 3)
    state = opt.state_dict()
    assert state["param_groups"][0]["initial_lr"] == 0.1
    _, other = made()
    other.load_state_dict(state)
    opt.load_state_dict(made()[1].state_dict())
    optim.SGD([{"params": [w], "lr": 0.1, "initial_lr": 0.3}])


def test_a_lazy_layer_is_optimised_after_its_first_call() -> None:
    layer = nn.LazyLinear(2)
    with pytest.raises(ValueError, match="has no shape before the first call"):
        optim.Adam(layer.parameters())
    layer(np.zeros((1, 3), np.float32))
    optim.Adam(layer.parameters()).step()


# -- PyTorch's names ---------------------------------------------------------------------------------------------

#: Public names of torch.optim.Optimizer, and of torch.optim, that are left out, by the reason.
ABSENT = {
    "types of hooks, for annotations": "OptimizerPreHook OptimizerPostHook",
    "machinery": "profile_hook_step",
}
ABSENT_MODULES = {
    "tn.optim.Averaged, update_bn and averaging": "swa_utils",
    "Averaged.applied() does this for averages": "swap_in_optimizer_params_and_state",
    "single steps as functions, since PyTorch 2.15": "functional",
}


def test_every_name_of_torch_has_its_place() -> None:
    torch = pytest.importorskip("torch")
    for theirs, ours, absent in ((torch.optim.Optimizer, made()[1], ABSENT), (torch.optim, optim, ABSENT_MODULES)):
        public = {name for name in dir(theirs) if not name.startswith("_")}
        assert public - set(dir(ours)) <= set(" ".join(absent.values()).split())


def test_methods_take_the_arguments_of_torch() -> None:
    torch = pytest.importorskip("torch")
    otherwise = {
        "add_param_group": "group stands for param_group",
        "load_state_dict": "state stands for state_dict, which is a method",
        "profile_hook_step": "machinery",
    }
    for name, theirs in inspect.getmembers(torch.optim.Optimizer, inspect.isfunction):
        if not name.startswith("_") and name not in otherwise:
            found, expected = (list(inspect.signature(f).parameters) for f in (getattr(optim.Optimizer, name), theirs))
            assert found[: len(expected)] == expected, name
    for name in ALL.keys() & set(dir(torch.optim)):
        expected = inspect.signature(getattr(torch.optim, name)).parameters.keys()
        found = inspect.signature(getattr(optim, name)).parameters.keys()
        switches = {"foreach", "fused", "capturable", "differentiable"}
        missing = expected - found - switches
        assert missing == ({"decoupled_weight_decay"} if name == "Adam" else set()), name
