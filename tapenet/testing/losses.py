"""What a loss promises: `check_loss`."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Sequence

import numpy as np

from tapenet.autodiff.state import no_grad
from tapenet.autodiff.tensor import Tensor
from tapenet.compiler.compile import compile as compiled
from tapenet.nn.module import Module
from tapenet.testing.findings import Findings, attempt, backends, derivative, difference, has_kink, seeded
from tapenet.typing import Array

Loss = Callable[..., object]


def check_loss(
    loss: Loss | type[Module],
    output: Array,
    *others: object,
    large: float | None = 1e4,
    reductions: bool = True,
    **options: object,
) -> None:
    """Check a loss: a function, or a module, of a model's output and a target that returns one number.

    The gradient by the output is right, in float32 too; nothing is written into; integer targets may be of any integer dtype;
    the mean of a batch is the same when each sample comes twice, and the sum is twice as large; with `reduction="none"` it
    gives what adds up to the sum, and a reduction that it has not is an error; large outputs give no nan; compiled it gives
    what it gives eagerly, with both backends.

    Args:
        loss: a function, a module, or the class of one, which is made with each reduction.
        output: of the model, an array of floats whose first axis is the batch.
        *others: what else the loss is called on, such as the target. Arrays with as many rows as `output` are samples too.
        large: what outputs are multiplied by to see whether they give a nan; None leaves it out, for losses of probabilities.
        reductions: False leaves out that the mean is that of the batch, for losses with weights, and those of whole batches.
        **options: given to the function, or to the class.

    Raises:
        AssertionError: says what is wrong.

    >>> import tapenet as tn
    >>> x, y = np.array([[0.5, -1.0], [2.0, 0.3], [0.1, 0.2]]), np.array([0, 1, 1])
    >>> tn.testing.check_loss(tn.cross_entropy, x, y)
    >>> def naive(output, target):
    ...     p = np.exp(output) / np.exp(output).sum(axis=1, keepdims=True)
    ...     return -np.log(p[np.arange(len(target)), target]).mean()
    >>> tn.testing.check_loss(naive, x, y)
    Traceback (most recent call last):
    AssertionError: check_loss(naive): outputs of up to 20000 in float32 give the loss nan: ...
    """
    findings = Findings("check_loss", loss if isinstance(loss, type) or not isinstance(loss, Module) else type(loss))
    inputs = [_read_only(value) for value in (np.asarray(output, np.float64), *others)]
    with seeded():
        plain = _with_reduction(findings, loss, None, options)
        _check_value(findings, plain, inputs)
        _check_gradient(findings, plain, inputs)
        _check_dtypes(findings, plain, inputs)
        if large is not None:
            _check_large(findings, plain, inputs, large)
        modes = (
            {r: _with_reduction(findings, loss, r, options) for r in ("mean", "sum", "none")} if _reduces(loss) else {}
        )
        if modes:
            _check_modes(findings, modes, loss, inputs, options, reductions)
        if reductions:
            _check_batch(findings, modes.get("mean", plain), modes.get("sum"), inputs)
        for backend in backends():
            _check_compiled(findings, plain, inputs, backend)


def _read_only(value: object) -> object:
    if isinstance(value, Tensor):
        value = value.numpy()
    if isinstance(value, np.ndarray):
        value = value.copy()
        value.flags.writeable = False
    return value


def _reduces(loss: Loss | type[Module]) -> bool:
    if isinstance(loss, Module):
        return hasattr(loss, "reduction")
    return any(p.name == "reduction" for p in inspect.signature(loss).parameters.values())


def _with_reduction(
    findings: Findings, loss: Loss | type[Module], reduction: str | None, options: dict[str, object]
) -> Loss:
    """The loss with a reduction, by default its own."""
    if reduction is not None:
        options = {**options, "reduction": reduction}
    if isinstance(loss, type):
        made = attempt(findings, f"it cannot be made with {options}", lambda: loss(**options))
        assert callable(made)
        return made
    if isinstance(loss, Module):
        changed = copy.deepcopy(loss)
        for name, value in options.items():
            setattr(changed, name, value)
        return changed
    return functools.partial(loss, **options)


def _call(loss: Loss, inputs: Sequence[object]) -> Tensor:
    """The loss of tensors."""
    return loss(*(Tensor._of(v) if isinstance(v, np.ndarray) else v for v in inputs))  # type: ignore[return-value]  # checked first


def _value(loss: Loss, inputs: Sequence[object]) -> Array:
    with no_grad():
        return np.array(_call(loss, inputs).data)


def _gradient(loss: Loss, inputs: Sequence[object]) -> tuple[Tensor, Array]:
    """The loss, and its gradient by the output."""
    output = Tensor._of(np.array(inputs[0])).requires_grad_()
    value = _call_on(loss, output, inputs)
    value.backward()
    grad = output.grad
    return value, np.zeros(output.shape) if grad is None else grad.numpy().copy()


def _call_on(loss: Loss, output: Tensor, inputs: Sequence[object]) -> Tensor:
    rest = (Tensor._of(v) if isinstance(v, np.ndarray) else v for v in inputs[1:])
    return loss(output, *rest)  # type: ignore[return-value]  # checked first


def _check_value(findings: Findings, loss: Loss, inputs: Sequence[object]) -> None:
    output = Tensor._of(np.array(inputs[0])).requires_grad_()
    try:
        with np.errstate(all="ignore"):
            value: object = _call_on(loss, output, inputs)
    except ValueError as error:
        if "read-only" in str(error):
            findings.fail("it writes into what it is given: compute new arrays", error)
        raise
    if not isinstance(value, Tensor):
        shown = "None" if value is None else f"a {type(value).__name__}"
        findings.fail(f"it returns {shown}, and is to return a tensor, without float(), .item() or .numpy()")
    if value.shape != ():
        findings.fail(
            f"it returns the shape {value.shape}, and is to return one number, such as the mean over the batch"
        )
    if not value.requires_grad:
        findings.fail("no gradient reaches the output: .data, .numpy(), np.asarray(), argmax and no_grad cut it off")
    if not np.isfinite(value.data).all():
        findings.fail(f"it is {value.data} on these inputs")
    if difference([_value(loss, inputs)], [value.data]):
        findings.fail("two calls on the same inputs differ: it is random or keeps something from call to call")


def _check_gradient(findings: Findings, loss: Loss, inputs: Sequence[object]) -> None:
    output = np.asarray(inputs[0])
    _, gradient = _gradient(loss, inputs)
    rng = np.random.default_rng(1)
    for _ in range(3):
        direction = rng.normal(size=output.shape)

        def moved(step: float, d: Array = direction) -> float:
            return float(_value(loss, [output + step * d, *inputs[1:]]))

        expected = derivative(moved)
        got = float((gradient * direction).sum())
        if abs(got - expected) > 1e-5 * max(1.0, abs(expected)):
            if has_kink(moved):
                findings.fail("it has a kink at these outputs: check it on others, random ones")
            ratio = f" ({got / expected:.4g} times)" if expected else ""
            findings.fail(
                f"the gradient by the output is wrong: along some direction {got:.6g}{ratio}, by finite differences "
                f"{expected:.6g}; an op with a wrong rule, or a part that .data or no_grad cut off?"
            )


def _check_dtypes(findings: Findings, loss: Loss, inputs: Sequence[object]) -> None:
    narrow = [v.astype(np.float32) if isinstance(v, np.ndarray) and v.dtype.kind == "f" else v for v in inputs]
    value, _ = _gradient(loss, narrow)
    if value.dtype != np.float32:
        findings.fail(f"outputs of float32 give a loss of {value.dtype}: does it make arrays of float64?")
    expected = _value(loss, inputs)
    for place, given in enumerate(inputs[1:], 1):
        if not (isinstance(given, np.ndarray) and given.dtype.kind in "iu"):
            continue
        for dtype in (np.int64, np.int32, np.int16, np.uint8):
            if np.array_equal(given.astype(dtype), given):
                changed = [*inputs[:place], given.astype(dtype), *inputs[place + 1 :]]
                what = f"a target of {np.dtype(dtype)} fails, which one of {given.dtype} does not"
                found = attempt(findings, what, lambda changed=changed: _value(loss, changed))  # type: ignore[misc]
                if wrong := difference([np.asarray(found)], [expected], 1e-12):
                    findings.fail(
                        f"a target of {np.dtype(dtype)} gives another loss than one of {given.dtype} ({wrong})"
                    )


def _check_large(findings: Findings, loss: Loss, inputs: Sequence[object], large: float) -> None:
    outputs = (np.asarray(inputs[0]) * large).astype(np.float32)
    narrow = [v.astype(np.float32) if isinstance(v, np.ndarray) and v.dtype.kind == "f" else v for v in inputs[1:]]
    with np.errstate(all="ignore"):
        value, gradient = _gradient(loss, [outputs, *narrow])
    found = "the loss nan" if np.isnan(value.data).any() else "a gradient with nan" if np.isnan(gradient).any() else ""
    if found:
        findings.fail(
            f"outputs of up to {np.abs(outputs).max():g} in float32 give {found}: subtract the largest before exp, or use "
            "tn.logsumexp, log_softmax, softplus"
        )


def _check_modes(
    findings: Findings, modes: dict[str, Loss], loss: Loss | type[Module], inputs: Sequence[object], options: dict[str, object],
    reductions: bool,
) -> None:  # fmt: skip
    values = {
        name: np.asarray(attempt(findings, f"reduction={name!r} fails", lambda f=f: _value(f, inputs)))  # type: ignore[misc]
        for name, f in modes.items()
    }
    for name in ("mean", "sum"):
        if values[name].shape != ():
            findings.fail(f"reduction={name!r} returns the shape {values[name].shape}, and is to return one number")
    none, batch = values["none"], len(np.asarray(inputs[0]))
    if none.shape[:1] != (batch,):
        findings.fail(
            f"reduction='none' returns the shape {none.shape}, and is to return one loss or more for each of {batch} samples"
        )
    if difference([values["sum"]], [none.sum()], 1e-10):
        findings.fail(
            f"reduction='sum' gives {values['sum']:.6g}, and what reduction='none' gives adds up to {none.sum():.6g}"
        )
    if reductions and all(difference([values["mean"]], [mean], 1e-10) for mean in (none.mean(), none.sum() / batch)):
        findings.fail(
            f"reduction='mean' gives {values['mean']:.6g}, and the mean of what reduction='none' gives is {none.mean():.6g}"
        )
    try:
        found = _value(_with_reduction(findings, loss, "average", options), inputs)
    except Exception:
        return
    findings.fail(f"reduction='average' gives {found:.6g}: a reduction that there is not is to be an error")


def _check_batch(findings: Findings, mean: Loss, total: Loss | None, inputs: Sequence[object]) -> None:
    """Each sample twice."""
    count = len(np.asarray(inputs[0]))
    twice = [np.concatenate([v, v]) if isinstance(v, np.ndarray) and v.shape[:1] == (count,) else v for v in inputs]
    once, doubled = float(_value(mean, inputs)), float(_value(mean, twice))
    if not np.isclose(doubled, once, 1e-10, 1e-12):
        by = f", {doubled / once:.4g} times as much" if once else ""
        findings.fail(
            f"a batch with each sample twice has the loss {doubled:.6g}{by}, one with each once {once:.6g}: take the "
            "mean over the batch, so that the learning rate does not depend on its size; for a loss that is no mean of "
            "samples by its nature give reductions=False"
        )
    if total is not None and not np.isclose(
        float(_value(total, twice)), 2 * float(_value(total, inputs)), 1e-10, 1e-12
    ):
        findings.fail("with reduction='sum' a batch with each sample twice has not twice the loss")


def _check_compiled(findings: Findings, loss: Loss, inputs: Sequence[object], backend: str) -> None:
    def step(output: Tensor, *rest: object) -> Tensor:
        value: Tensor = loss(output, *rest)  # type: ignore[assignment]
        value.backward()
        return value.detach()

    call = compiled(step, backend=backend)
    for given in (inputs, [np.asarray(inputs[0]) * 0.9 + 0.01, *inputs[1:]]):
        value, gradient = _gradient(loss, given)
        output = Tensor._of(np.array(given[0])).requires_grad_()
        rest = [Tensor._of(v) if isinstance(v, np.ndarray) else v for v in given[1:]]
        what = f"it cannot be compiled with backend={backend!r}"
        found = attempt(findings, what, lambda output=output, rest=rest: call(output, *rest))  # type: ignore[misc]
        assert isinstance(found, Tensor)
        grad = output.grad
        pair = [found.data, np.zeros(output.shape) if grad is None else grad.numpy()]
        if wrong := difference(pair, [value.data, gradient], 1e-10):
            where = "" if given is inputs else " on other outputs than it was captured on"
            findings.fail(
                f"compiled with backend={backend!r} it gives another value or gradient{where} than eagerly ({wrong})"
            )
