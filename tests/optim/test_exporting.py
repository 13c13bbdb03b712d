"""States of optimizers that go on in PyTorch."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn, optim
from tests.optim.problems import arrays, give, gradients, tensors
from tests.optim.test_rules import CONFIGURATIONS, WHOLE

torch = pytest.importorskip("torch")
from tests.optim.test_rules import numbers_in_float64  # noqa: E402, F401

STARTS = pytest.mark.parametrize("before", [0, 5])


def _pair(name: str, start: list[Any]) -> tuple[list[Any], Any]:
    """PyTorch's optimizer over these values, its own options set to others: those of the state are to count."""
    theirs = [torch.nn.Parameter(torch.from_numpy(np.array(a, order="C"))) for a in start]
    return theirs, getattr(torch.optim, name)([{"params": theirs[:2]}, {"params": theirs[2:], "lr": 123.0}])


def _through_a_file(state: Any) -> Any:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


#: After some steps all of them, and before the first those that have something then, or have it then alone.
CASES = [(*case, 4) for case in CONFIGURATIONS + WHOLE] + [
    (*case, 0) for case in CONFIGURATIONS if case[0] == "Adagrad" or "dampening" in case[1] or "amsgrad" in case[1]
]


@pytest.mark.parametrize(("name", "options", "before"), CASES, ids=[f"{c[0]}-{'-'.join(c[1])}-{c[2]}" for c in CASES])
def test_a_state_goes_on_in_torch(name: str, options: dict[str, Any], before: int) -> None:
    ours = tensors()
    groups = [{"params": ours[:2]}, {"params": ours[2:]}]
    opt = getattr(optim, name)(groups, **options)
    for step in range(before):
        opt.zero_grad()
        give(ours, gradients(step))
        opt.step()
    theirs, other = _pair(name, [p.numpy() for p in ours])
    state = _through_a_file(optim.to_torch(opt))
    other.load_state_dict(state)
    again = tensors()
    for p, q in zip(again, ours, strict=True):
        p.data = q.numpy()
    back = getattr(optim, name)([{"params": again[:2]}, {"params": again[2:]}])
    back.load_state_dict(state)
    for step in range(before, before + 4):
        for q, g in zip(theirs, gradients(step), strict=True):
            q.grad = None if g is None else torch.from_numpy(g)
        other.step()
        for params, mine in ((ours, opt), (again, back)):
            mine.zero_grad()
            give(params, gradients(step))
            mine.step()
    for p, q, r in zip(ours, theirs, again, strict=True):
        np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(p.numpy(), r.numpy(), rtol=1e-10, atol=1e-13)


@STARTS
@pytest.mark.parametrize("options", [{"lr": 0.1}, {"lr": 0.1, "nesterov": False, "weight_decay": 0.3}], ids=str)
def test_muon_goes_on_in_torch(options: dict[str, Any], before: int) -> None:
    pytest.importorskip("torch", minversion="2.9")
    rng = np.random.default_rng(0)
    p = tn.tensor(rng.normal(size=(4, 3)), requires_grad=True)
    opt = optim.Muon([p], **options)
    grads = rng.normal(size=(9, 4, 3))
    for g in grads[:before]:
        p.grad = tn.tensor(g)
        opt.step()
    q = torch.nn.Parameter(torch.from_numpy(p.numpy().copy()))
    other = torch.optim.Muon([q], lr=5.0)
    other.load_state_dict(_through_a_file(optim.to_torch(opt)))
    for g in grads[before : before + 3]:
        p.grad, q.grad = tn.tensor(g), torch.from_numpy(g)
        opt.step()
        other.step()
    # PyTorch's computes the update of the parameter in bfloat16; the momentum is exact, and of the gradients alone.
    (mine,), (theirs,) = opt.state_dict()["state"].values(), other.state_dict()["state"].values()
    np.testing.assert_allclose(mine["momentum_buffer"], theirs["momentum_buffer"].numpy(), rtol=1e-12)
    options = opt.state_dict()["param_groups"][0]
    assert not options.pop("maximize")  # which it does not have
    assert options == {name: other.state_dict()["param_groups"][0][name] for name in options}


@STARTS
def test_sparse_adam_goes_on_in_torch(before: int) -> None:
    rng = np.random.default_rng(0)
    p = tn.tensor(rng.normal(size=(5, 3)), requires_grad=True)
    opt = optim.SparseAdam([p], lr=0.1)
    grads = np.where(rng.random((9, 5, 1)) < 0.5, rng.normal(size=(9, 5, 3)), 0.0)
    for g in grads[:before]:
        p.grad = tn.tensor(g)
        opt.step()
    q = torch.nn.Parameter(torch.from_numpy(p.numpy().copy()))
    other = torch.optim.SparseAdam([q], lr=5.0)
    other.load_state_dict(_through_a_file(optim.to_torch(opt)))
    for g in grads[before:]:
        p.grad, q.grad = tn.tensor(g), torch.from_numpy(g).to_sparse(1)
        opt.step()
        other.step()
    np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=1e-10)


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
@STARTS
def test_lbfgs_goes_on_in_torch(search: str | None, before: int) -> None:
    options = {"lr": 0.2, "max_iter": 4, "line_search_fn": search, "history_size": 3}
    start = [np.array(a) for a in arrays()]
    target = [np.ones_like(a) for a in start]

    def loss_of(params: Any, goal: Any) -> Any:
        return sum((((p - t) ** 4).sum() + ((p - t) ** 2).sum() for p, t in zip(params, goal, strict=True)), start=0.0)

    def closure(params: Any, opt: Any, goal: Any) -> Any:
        def computed() -> Any:
            opt.zero_grad()
            loss = loss_of(params, goal)
            loss.backward()
            return loss

        return computed

    ours = [tn.tensor(a, requires_grad=True) for a in start]
    opt = optim.LBFGS(ours, **options)
    for _ in range(before):
        opt.step(closure(ours, opt, target))
    theirs = [torch.nn.Parameter(torch.from_numpy(p.numpy().copy())) for p in ours]
    other = torch.optim.LBFGS(theirs, lr=3.0)
    other.load_state_dict(_through_a_file(optim.to_torch(opt)))
    goal = [torch.from_numpy(t) for t in target]
    for _ in range(3):
        mine = opt.step(closure(ours, opt, target)).item()
        assert mine == pytest.approx(other.step(closure(theirs, other, goal)).item(), rel=1e-8)
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=1e-6, atol=1e-9)


def test_a_schedule_goes_by_its_next_value_and_float32_stays() -> None:
    p = tn.tensor(np.ones(3, np.float32), requires_grad=True)
    opt = optim.Adam([("w", p)], lr=optim.linear(1.0, 0.0, 10))
    for _ in range(4):
        p.grad = tn.tensor(np.ones(3, np.float32))
        opt.step()
    state = optim.to_torch(opt)
    assert state["param_groups"][0]["lr"] == opt.lr == pytest.approx(0.6)
    assert state["param_groups"][0]["param_names"] == ["w"]
    assert {str(t.dtype) for t in state["state"][0].values()} == {"torch.float32"}


def test_the_first_rate_of_a_scheduler_goes_along() -> None:
    opt = optim.SGD([tn.tensor([1.0], requires_grad=True)], lr=0.4)
    scheduler = optim.lr_scheduler.StepLR(opt, 1, gamma=0.5)
    scheduler.step()
    other = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    other.load_state_dict(optim.to_torch(opt))
    theirs = torch.optim.lr_scheduler.StepLR(other, 1, gamma=0.5, last_epoch=1)
    scheduler.step()
    assert opt.lr == other.param_groups[0]["lr"] == theirs.get_last_lr()[0] == 0.1


class _Extra(optim.SparseAdam):
    def __init__(self, params: Any) -> None:
        super().__init__(params)
        self.groups[0]["extra"] = 3


_Extra.__name__ = "SparseAdam"


def test_what_torch_has_not_is_told() -> None:
    p = tn.tensor([[1.0]], requires_grad=True)
    for kind in (optim.LAMB, optim.Lion, optim.LARS):
        with pytest.raises(TypeError, match=rf"PyTorch has no optimizer {kind.__name__}"):
            optim.to_torch(kind([p], lr=0.1))
    with pytest.raises(TypeError, match="PyTorch has no optimizer MasterWeights"):
        optim.to_torch(optim.MasterWeights(optim.SGD, [p], lr=0.1))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="PyTorch's SparseAdam has no option extra, which is 3 here"):
        optim.to_torch(_Extra([p]))


# -- models ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64"])
def test_models_go_to_torch_and_come_back_by_files(tmp_path: Any, dtype: str) -> None:
    theirs_of_files = pytest.importorskip("safetensors.torch")
    pytest.importorskip("ml_dtypes")

    def made(m: Any) -> Any:
        return m.Sequential(m.Conv2d(1, 2, 3), m.BatchNorm2d(2), m.Flatten(), m.Linear(8, 3), m.Embedding(4, 2))

    ours = made(nn).astype(dtype)
    tn.save(ours, tmp_path / "ours.safetensors")
    theirs = made(torch.nn).to(getattr(torch, dtype))
    theirs.load_state_dict(theirs_of_files.load_file(tmp_path / "ours.safetensors"))
    for name, value in theirs.state_dict().items():
        np.testing.assert_array_equal(value.double().numpy(), ours.state_dict()[name].astype(np.float64), name)
    with torch.no_grad():
        for q in theirs.parameters():
            q.mul_(-2)
    expected = {name: value.double().numpy() for name, value in theirs.state_dict().items()}
    theirs_of_files.save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    torch.save(theirs.state_dict(), tmp_path / "theirs.pt")
    for state in (
        tn.load(tmp_path / "theirs.safetensors"),
        torch.load(tmp_path / "theirs.pt", weights_only=True),
        dict(theirs.named_parameters()) | dict(theirs.named_buffers()),
    ):
        back = made(nn).astype(dtype)
        back.load_state_dict(state)
        for name, value in back.state_dict().items():
            np.testing.assert_array_equal(value.astype(np.float64), expected[name], name)
