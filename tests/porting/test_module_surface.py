"""What PyTorch's modules and optimizers do besides computing, by the same code here and there: states, hooks, containers,
layers of sizes to come."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn

torch = pytest.importorskip("torch")

BOTH = [(nn, tn), (torch.nn, torch)]
R = np.random.default_rng(0)


def numpy(value: Any) -> Any:
    return value.numpy() if hasattr(value, "numpy") else value


def same_states(ours: Any, theirs: Any) -> None:
    """The same names in the same order, shapes and dtypes."""
    a, b = ours.state_dict(), theirs.state_dict()
    assert list(a) == list(b)
    for name, value in b.items():
        if hasattr(value, "numpy"):
            assert (a[name].shape, a[name].dtype) == (tuple(value.shape), numpy(value).dtype), name
        else:
            assert a[name] == value


# -- states ------------------------------------------------------------------------------------------------------


def network(m: Any, lib: Any, log: list[Any]) -> Any:
    """A module of modules with all that a state can have, whose hooks write down how they are called."""

    class Part(m.Module):  # type: ignore[misc]
        def __init__(self, name: str) -> None:
            super().__init__()
            self.inner = m.Linear(2, 1)
            self.weight = m.Parameter(lib.ones(3))
            self.register_buffer("mean", lib.zeros(3))
            self.register_buffer("mask", lib.ones(3), persistent=False)
            self.scratch = m.Buffer(lib.zeros(1), persistent=False)
            self.register_buffer("nothing", None)
            self.count = 0
            self.register_state_dict_pre_hook(lambda mod, prefix, keep: log.append(("pre", name, prefix, keep)))
            self.register_state_dict_post_hook(self._renamed)
            self.register_load_state_dict_pre_hook(self._back)
            self.register_load_state_dict_post_hook(
                lambda mod, report: log.append(
                    ("loaded", name, sorted(report.missing_keys), sorted(report.unexpected_keys))
                )
            )

        @staticmethod
        def _renamed(module: Any, state: dict[str, Any], prefix: str, metadata: Any) -> None:
            log.append(("post", prefix, sorted(state)))
            state[prefix + "gamma"] = state.pop(prefix + "weight")

        @staticmethod
        def _back(module: Any, state: Any, prefix: str, metadata: Any, strict: bool, missing: Any, unexpected: Any,
                  errors: Any) -> None:  # fmt: skip
            log.append(("load", prefix, strict, list(missing), list(unexpected), list(errors)))
            if prefix + "gamma" in state:
                state[prefix + "weight"] = state.pop(prefix + "gamma")

        def get_extra_state(self) -> Any:
            return {"count": self.count}

        def set_extra_state(self, state: Any) -> None:
            self.count = state["count"]

    class Whole(m.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.first = Part("first")
            self.many = m.ModuleList([Part("second"), m.BatchNorm1d(2)])
            self.shared = self.first.inner

    return Whole()


def test_states_and_their_hooks_go_as_in_torch() -> None:
    logs: tuple[list[Any], list[Any]] = ([], [])
    ours, theirs = (network(m, lib, log) for (m, lib), log in zip(BOTH, logs, strict=True))
    ours.to("float32")
    same_states(ours, theirs)
    assert [n for n, _ in ours.named_buffers()] == [n for n, _ in theirs.named_buffers()]
    assert logs[0] == logs[1]
    for net in (ours, theirs):
        net.first.count = 7
        state = net.state_dict()
        net.first.count = 0
        net.load_state_dict(state)
        assert net.first.count == 7
        del state["many.0._extra_state"], state["many.0.mean"]
        state["odd"] = state["first.gamma"]
        report = net.load_state_dict(state, strict=False)
        assert (sorted(report.missing_keys), report.unexpected_keys) == (
            ["many.0._extra_state", "many.0.mean"],
            ["odd"],
        )
        with pytest.raises((ValueError, RuntimeError), match="odd"):
            net.load_state_dict(state)
    # How the lists are filled while it goes on is PyTorch's own affair; who is called, in which order and where, is not.
    told = [[entry[:2] for entry in log if entry[0] in ("pre", "post", "load", "loaded")] for log in logs]
    loads = [[entry for entry in log if entry[0] == "load"] for log in told]
    assert loads[0] == loads[1]
    assert [e for e in told[0] if e[0] == "loaded"][:2] == [e for e in told[1] if e[0] == "loaded"][:2]


# -- containers --------------------------------------------------------------------------------------------------


def containers(m: Any, lib: Any) -> Any:
    class Net(m.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.many = m.ParameterList([m.Parameter(lib.ones(2)), lib.zeros(3), "text"])
            self.many += [lib.ones(1)]
            self.many.append(lib.ones(4))
            self.many[1] = lib.ones(5)
            self.named = m.ParameterDict({"b": m.Parameter(lib.ones(2)), "a": lib.ones(1)})
            self.named["c"] = lib.zeros(2)
            self.named.update({"e": lib.zeros(1), "d": lib.zeros(3)})
            self.named.pop("a")

    return Net()


def test_containers_of_parameters_are_those_of_torch() -> None:
    ours, theirs = (containers(m, lib) for m, lib in BOTH)
    ours.to("float32")
    same_states(ours, theirs)
    for read in (
        lambda net: (len(net.many), net.many[2], [getattr(v, "shape", v) for v in net.many[1:3]]),
        lambda net: (list(net.named), list(net.named.keys()), "a" in net.named, net.named.get("z", 3), len(net.named)),
        lambda net: [(n, tuple(p.shape)) for n, p in net.named_parameters()],
        lambda net: [type(p) is type(net.many[0]) for p in net.named.values()],
    ):
        assert read(ours) == read(theirs)


# -- layers of sizes to come --------------------------------------------------------------------------------------

LAZY: dict[str, tuple[tuple[Any, ...], tuple[int, ...]]] = {"LazyLinear": ((4,), (2, 3))}
for _n in (1, 2, 3):
    _image = (6,) * _n
    LAZY |= {
        f"LazyConv{_n}d": ((4, 3, 2), (2, 5, *_image)),
        f"LazyConvTranspose{_n}d": ((4, 3), (2, 5, *_image)),
        f"LazyBatchNorm{_n}d": ((), (2, 5, *_image)),
        f"LazyInstanceNorm{_n}d": ((), (2, 5, *_image)),
    }


@pytest.mark.parametrize("name", LAZY)
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_lazy_layers_are_those_of_torch(name: str) -> None:
    """Their class, names and values after the first call, and what a state of the layer makes of another."""
    args, shape = LAZY[name]
    x = R.normal(size=shape).astype(np.float32)
    ours, theirs = (getattr(m, name)(*args) for m, _ in BOTH)
    assert isinstance(ours, getattr(nn, name.removeprefix("Lazy")))
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    lazy = [isinstance(p, nn.UninitializedParameter) for p in ours.parameters()]
    assert lazy == [isinstance(p, torch.nn.parameter.UninitializedParameter) for p in theirs.parameters()]
    fresh = getattr(nn, name)(*args)
    theirs(torch.tensor(x))
    state = {n: v.numpy().copy() for n, v in theirs.state_dict().items()}
    fresh.load_state_dict(state)
    ours(x)
    same_states(ours, theirs)
    assert type(ours).__name__ == type(theirs).__name__ == name.removeprefix("Lazy")
    np.testing.assert_allclose(fresh(x).data, theirs(torch.tensor(x)).detach().numpy(), rtol=1e-4, atol=1e-5)


# -- optimizers --------------------------------------------------------------------------------------------------


def test_hooks_and_closures_of_optimizers_go_as_in_torch() -> None:
    logs: list[list[Any]] = []
    for lib in (tn, torch):
        log: list[Any] = []
        w = lib.tensor(np.array([1.0, 2.0]), requires_grad=True)
        opt = lib.optim.SGD([w], lr=0.1, momentum=0.9)

        def value(w: Any = w) -> list[float]:
            return numpy(w.detach()).tolist()

        def closure(opt: Any = opt, w: Any = w, log: Any = log) -> Any:
            opt.zero_grad()
            loss = (w**2).sum()
            loss.backward()
            log.append("closure")
            return loss

        opt.register_step_pre_hook(
            lambda o, args, kwargs, log=log, value=value: log.append(("pre", len(args), value()))
        )
        last = opt.register_step_post_hook(
            lambda o, args, kwargs, log=log, value=value: log.append(("post", len(args), value()))
        )
        opt.register_state_dict_pre_hook(lambda o, log=log: log.append("state"))
        opt.register_state_dict_post_hook(lambda o, state, log=log: log.append(sorted(state.keys() - {"step"})))
        opt.register_load_state_dict_pre_hook(lambda o, state, log=log: log.append("load"))
        opt.register_load_state_dict_post_hook(lambda o, log=log: log.append("loaded"))
        log.append(opt.step(closure).item())
        log.append(opt.step())
        last.remove()
        opt.zero_grad(set_to_none=False)
        log.append(numpy(w.grad).tolist())
        opt.step()
        opt.load_state_dict(opt.state_dict())
        log.append(value())
        log.append({n: v for n, v in opt.defaults.items() if n in ("lr", "momentum", "nesterov", "weight_decay")})
        buffer = opt.state[w]["momentum_buffer"]
        log.append(numpy(buffer).tolist())
        for group in opt.param_groups:
            group["lr"] = 0.01
        w.grad = lib.tensor(np.array([1.0, 1.0]))
        opt.step()
        log.append(value())
        logs.append(log)
    assert len(logs[0]) == len(logs[1])
    for a, b in zip(*logs, strict=True):
        if isinstance(b, list) and b and isinstance(b[0], float):
            np.testing.assert_allclose(a, b, rtol=1e-14)
        elif isinstance(b, tuple):
            assert a[:2] == b[:2]
            np.testing.assert_allclose(a[2], b[2], rtol=1e-14)
        else:
            assert a == b
