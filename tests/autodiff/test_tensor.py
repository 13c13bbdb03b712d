"""The handle: making, converting, assigning, copying and showing tensors."""

from __future__ import annotations

import array as python_array
import copy
import math
import operator
import pickle
import re
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.ops import torch_methods
from tapenet.program.low import dtype_of


def leaf(values: Any, dtype: Any = None) -> tn.Tensor:
    return tn.tensor(values, dtype=dtype, requires_grad=True)


def _loaded(kind: Any, m: Any, **options: Any) -> None:
    """An optimizer of two numbers that is given a state with this in place of each array."""
    opt = kind([leaf([1.0, 2.0])], lr=0.1, **options)
    state = opt.state_dict()
    state["state"][0] = {name: m if np.ndim(value) else value for name, value in state["state"][0].items()}
    opt.load_state_dict(state)


# -- making ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "use",
    [
        tn.tensor,
        tn.asarray,
        tn.sum,
        lambda m: tn.stack([m, m]),
        lambda m: tn.tensor([1.0, 2.0]) * m,
        lambda m: m * tn.tensor([1.0, 2.0]),
        lambda m: m == tn.tensor([1.0, 2.0]),
        lambda m: m @ tn.tensor([1.0, 2.0]),
        lambda m: np.ma.dot(m, tn.tensor([1.0, 2.0])),
        lambda m: operator.iadd(m, tn.tensor([1.0, 2.0])),
        lambda m: tn.exp(tn.tensor([1.0, 2.0], requires_grad=True)).backward(m),
        lambda m: setattr(tn.tensor([1.0, 2.0]), "grad", m),
        lambda m: setattr(tn.tensor([1.0, 2.0]), "data", m),
        lambda m: tn.nn.Linear(2, 1, bias=False).load_state_dict({"weight": m[None]}),
        lambda m: tn.Network(tn.nn.Linear(2, 1)).predict(m[None]),
        lambda m: tn.tensor([m, m]),
        lambda m: tn.asarray(([m, m], [np.ones(2), m])),
        lambda m: tn.tensor([[1.0, 2.0], m]),
        lambda m: tn.asarray([[[1.0, 2.0]], [m]]),
        lambda m: tn.cond(m[0] > 0, lambda: 1.0, lambda: 2.0),
        lambda m: tn.where(m > 0, 1.0, 2.0),
        lambda m: tn.random.normal(m, 1.0),
        lambda m: tn.random.gamma.log_prob(1.0, [m, m]),
        lambda m: tn.random.choice(m, 3),
        lambda m: tn.scipy.integrate.solve_ivp(lambda t, y: -y, (0, 1), m),
        lambda m: _loaded(tn.optim.SGD, m, momentum=0.9),
        lambda m: _loaded(tn.optim.LBFGS, m),
    ],
)
def test_a_masked_array_does_not_lose_its_mask_in_silence(use: Any) -> None:
    masked = np.ma.masked_array([1.0, 2.0], [True, False])
    with pytest.raises(TypeError, match=r"a masked array would lose its mask: give its \.data and its \.mask"):
        use(masked)
    with pytest.raises(TypeError, match="MaskedArray"):
        tn.grad(lambda x: np.sum(x * x))(masked)


def test_tensor_copies_and_asarray_does_not() -> None:
    a = np.zeros(3)
    copied, shared = tn.tensor(a), tn.asarray(a)
    a[0] = 5.0
    assert copied.tolist() == [0.0, 0.0, 0.0]
    assert shared.tolist() == [5.0, 0.0, 0.0]
    assert shared.data is a
    assert tn.asarray(shared) is shared
    again = tn.tensor(shared)
    shared.data[1] = 7.0
    assert again.tolist() == [5.0, 0.0, 0.0]


def test_dtypes_are_numpys() -> None:
    assert tn.tensor([1.0, 2.0]).dtype == np.float64
    assert tn.tensor([1, 2]).dtype == np.int64
    assert tn.tensor([True]).dtype == np.bool_
    assert tn.tensor([1 + 2j]).dtype == np.complex128
    for dtype in (np.float16, np.float32, np.float64, np.uint8, np.int32, np.bool_):
        assert tn.tensor(np.zeros(2, dtype)).dtype == dtype
        assert tn.asarray(np.zeros(2, dtype)).dtype == dtype
        assert tn.tensor([0, 1], dtype=dtype).dtype == dtype
        assert tn.asarray([0, 1], dtype=dtype).dtype == dtype
    assert tn.tensor(np.float32(2.0)).dtype == np.float32
    assert tn.asarray(tn.tensor([1.0]), dtype="float32").dtype == np.float32


def test_memory_order_is_kept() -> None:
    a = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    assert tn.tensor(a).data.flags.f_contiguous
    assert copy.deepcopy(tn.tensor(a)).data.flags.f_contiguous
    assert tn.tensor(a).copy().data.flags.f_contiguous


def test_copies_begin_with_a_cache_line() -> None:
    for size in (32, 34, 36, 38):  # what NumPy allocates for these begins at different places of a line
        a = np.arange(size * 1024, dtype=np.float32).reshape(4, size, 256)
        for x in (a, a.T, a.transpose(1, 0, 2), np.asfortranarray(a), a.astype(np.float64)):
            made = tn.tensor(x, dtype="float32").data
            assert made.ctypes.data % 64 == 0
            assert made.strides == np.array(x, np.float32).strides
            assert not np.shares_memory(made, x)
            np.testing.assert_array_equal(made, x)
    for x in (a[:, ::2], a[::-1]):
        np.testing.assert_array_equal(tn.tensor(x).data, x)


def test_data_is_always_an_ndarray() -> None:
    x = leaf([1.0, 2.0])
    for t in (x.sum(), x[0], x @ x, tn.tensor(1.0), np.exp(x.sum()), x.argmax(), x.sum() > 0, x.max(), x.sum() * 2.0):
        assert type(t.data) is np.ndarray
        assert t.shape == ()
        assert t.numpy() is t.data
    assert type(tn.asarray(np.zeros(1).view(np.recarray)).data) is np.ndarray
    assert type(tn.asarray(np.float64(1.0)).data) is np.ndarray


@pytest.mark.parametrize("value", [["a", "b"], None, object(), [None], {"a": 1}, [[1.0], [1.0, 2.0]], "1.0"])
def test_what_is_no_array_of_numbers_is_refused(value: Any) -> None:
    for make in (tn.tensor, tn.asarray):
        with pytest.raises((TypeError, ValueError)):
            make(value)


@pytest.mark.parametrize("value", [[1, 2], [True], np.zeros(2, np.uint8)])
def test_only_floats_have_gradients(value: Any) -> None:
    with pytest.raises(TypeError, match=r"has no gradient.*astype"):
        tn.tensor(value, requires_grad=True)
    t = tn.tensor(value)
    with pytest.raises(TypeError, match="has no gradient"):
        t.requires_grad = True
    assert t.requires_grad is False
    assert not (t * 2).requires_grad
    assert (t * leaf(1.5)).requires_grad


def test_requires_grad_can_be_asked_for_and_taken_back() -> None:
    t = tn.tensor([1.0])
    assert t.is_leaf
    assert t.node is None
    assert t.requires_grad_() is t
    assert t.requires_grad
    node = t.node
    t.requires_grad = True
    assert t.node is node
    t.requires_grad = False
    assert not (t * 2).requires_grad
    y = leaf([1.0]) * 2
    assert not y.is_leaf
    assert y.requires_grad_() is y
    with pytest.raises(TypeError, match=r"result of op 'multiply'.*detach"):
        y.requires_grad = False


def test_attributes_are_the_arrays() -> None:
    a = np.zeros((2, 3), np.float32)
    t = tn.asarray(a)
    assert (t.shape, t.dtype, t.ndim, t.size, t.nbytes, len(t)) == ((2, 3), np.dtype("f4"), 2, 6, 24, 2)
    assert (t.itemsize, t.device) == (4, "cpu")
    assert t.T.shape == (3, 2)
    assert tn.tensor(np.zeros((4, 2, 3))).mT.shape == (4, 3, 2)
    assert t.tolist() == a.tolist()
    assert (np.shape(t), np.ndim(t), np.size(t), np.size(t, 1)) == ((2, 3), 2, 6, 3)


def _said(t: Any, name: str) -> str:
    with pytest.raises(AttributeError) as caught:
        getattr(t, name)
    assert caught.value.name == name
    assert caught.value.obj is t
    return str(caught.value)


def test_methods_of_other_libraries_are_named_as_they_are_here() -> None:
    t = tn.tensor([1.0, 2.0])
    expected = {
        "unsqueeze": "np.expand_dims(t, axis)", "sigmoid": "tn.sigmoid(t)", "relu": "tn.relu(t)", "norm": "np.linalg.norm(t)",
        "zero_": "t.fill(0)", "add_": "t += other", "exp_": "t[...] = tn.exp(t)", "clip_": "t[...] = t.clip(...)",
        "unsqueeze_": "t = np.expand_dims", "float": "t.astype(np.float32)",
        "at": "np.add.at(t, i, v)", "block_until_ready": "t as it is",
    }  # fmt: skip
    for name, words in expected.items():
        assert f"a Tensor has no attribute '{name}': write {words}" in _said(t, name).replace(
            "t[i] = v on a copy, or ", ""
        )
    assert "it belongs to arrays, write t.numpy().strides" in _said(t, "strides")
    assert "it belongs to arrays, write t.numpy().view; or t.reshape(shape)" in _said(t, "view")
    assert "functions are in tn.* and np.*" in _said(t, "reshap")
    command = "import tapenet as tn; tn.tensor(1.0).reshap"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, encoding="utf-8", check=False)
    assert "a Tensor has no attribute 'reshap'" in done.stderr
    assert "Did you mean: 'reshape'?" in done.stderr
    assert not hasattr(t, "__cuda_array_interface__")


def test_what_is_named_in_place_of_methods_of_other_libraries_is_there() -> None:
    texts = [*torch_methods._INSTEAD.values(), *torch_methods._IN_PLACE.values()]
    named = {match for text in texts for match in re.findall(r"\b(np|tn|t)\.((?:[a-z_]\w*\.)*[A-Za-z_]\w*)", text)}
    assert len(named) > 60
    for where, path in named:
        found: Any = {"np": np, "tn": tn, "t": tn.tensor(np.ones((2, 2)))}[where]
        for part in path.split("."):
            found = getattr(found, part)
    for name in torch_methods._INSTEAD:
        assert not hasattr(tn.Tensor, name)


def test_most_methods_of_pytorch_are_known() -> None:
    torch = pytest.importorskip("torch")
    missing = [n for n in dir(torch.Tensor) if not n.startswith(("_", "is_", "to_")) and not hasattr(tn.Tensor, n)]
    assert sum(bool(torch_methods.instead(name)) for name in missing) > 0.7 * len(missing)


def test_item_needs_one_element() -> None:
    assert tn.tensor([[2.5]]).item() == 2.5
    assert type(tn.tensor([[2.5]]).item()) is float
    assert type(tn.tensor(2).item()) is int
    with pytest.raises(ValueError, match=r"one element.*\(2,\)"):
        tn.tensor([1.0, 2.0]).item()


def test_detach_shares_storage_and_leaves_the_graph() -> None:
    x = leaf([1.0, 2.0])
    d = x.detach()
    assert not d.requires_grad
    assert d.data is x.data
    y = x * 2
    assert y.detach().data is y.data
    assert y.requires_grad


# -- conversion --------------------------------------------------------------------------------------------------

IMPLICIT: dict[str, Any] = {
    "asarray": np.asarray,
    "array": np.array,
    "array with dtype": lambda t: np.array(t, dtype=np.float32),
    "ascontiguousarray": np.ascontiguousarray,
    "list": lambda t: np.array([t, t]),
    "mixed list": lambda t: np.array([np.zeros(t.shape), t]),
    "nested list": lambda t: np.asarray([[t], [t]]),
    "slice": lambda t: np.zeros(4).__setitem__(slice(0, 1), t),
    "row": lambda t: np.zeros((2, 1)).__setitem__(0, t),
    "mask": lambda t: np.zeros(2).__setitem__(np.array([True, False]), t),
    "index array": lambda t: np.zeros(2).__setitem__([0], t),
    "full": lambda t: np.full(3, t),
    "method of an array": lambda t: np.ones(1).dot(t),
    "random": lambda t: np.random.default_rng(0).normal(t),
}


@pytest.mark.parametrize("convert", IMPLICIT.values(), ids=IMPLICIT)
@pytest.mark.parametrize("shape", [(), (1,)])
def test_implicit_conversion_of_what_needs_a_gradient_raises(convert: Any, shape: tuple[int, ...]) -> None:
    x = leaf(np.full(shape, 2.0))
    for t in (x, x * 3):
        with pytest.raises(TypeError, match=r"t\.numpy\(\).*tn\.array or tn\.stack"):
            convert(t)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.complex128])
@pytest.mark.parametrize("shape", [(), (1,)])
def test_storing_into_an_element_raises_too(dtype: Any, shape: tuple[int, ...]) -> None:
    """NumPy calls float(t) for `a[0] = t`, which is otherwise a way to ask for the number."""
    x = leaf(np.full(shape, 2.0))
    a = np.zeros((2, 2), dtype)
    for _ in range(30):  # more often than the interpreter takes to specialise the instruction
        for t in (x, x * 3):
            with pytest.raises((TypeError, ValueError)) as caught:
                a[0, 1] = t
            error = caught.value.__cause__ if isinstance(caught.value, ValueError) else caught.value
            assert "t.numpy()" in str(error)
            assert "tn.stack" in str(error)
    assert not a.any()
    with tn.no_grad():
        a.flat[0] = float(x)
        numbers = {"a": float(x), "b": int(x), "c": complex(x)}
    assert numbers == {"a": 2.0, "b": 2, "c": 2 + 0j}
    assert a[0, 0] == 2
    with pytest.raises(TypeError, match=r"t\.numpy"):
        python_array.array("d", [0.0])[0] = x
    holder = [0]
    holder[0] = x
    assert holder[0] is x


NUMBERS = ["float(t)", "int(t)", "complex(t)", "math.exp(t)", "np.float64(t)", "np.fromiter([t, t], float)",
           "python_array.array('d', [t])", "'%.3f' % t"]  # fmt: skip


@pytest.mark.parametrize("text", NUMBERS)
def test_a_number_that_leaves_a_graph_is_warned_of_once_for_each_line(text: str) -> None:
    x = leaf(2.0)
    line = compile(f"\n\n{text}", f"the line of {text}", "eval")
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        for t in (x, x * 1, x * 2):
            eval(line, globals(), {"t": t})
    assert [(w.filename, w.lineno, w.category) for w in found] == [(f"the line of {text}", 3, RuntimeWarning)]
    assert re.search(r"made of a tensor that needs a gradient.*np\.exp.*t\.item\(\)", str(found[0].message))


def test_such_a_warning_that_is_made_an_error_is_one_each_time() -> None:
    x = leaf(2.0)
    for _ in range(2):
        with pytest.raises(RuntimeWarning, match="a Python number"):
            float(x)


def test_numbers_that_are_no_part_of_a_graph_leave_in_silence() -> None:
    x = leaf(2.0)
    loss = x * x
    assert loss.item() == 4.0
    assert f"{loss:.1f} {x:.1f}" == "4.0 2.0"
    loss.backward()
    assert float(loss) == 4.0  # the graph has been used up
    assert math.sqrt(x.grad) == 2.0
    assert float(loss.detach()) == 4.0
    with tn.no_grad():
        assert float(x) == 2.0


def test_without_a_gradient_conversion_is_free() -> None:
    t = tn.tensor([1.0, 2.0])
    assert np.asarray(t) is t.data
    assert np.array([t, t]).shape == (2, 2)
    a = np.zeros(2)
    a[:] = t
    a[0] = tn.tensor(5.0)
    np.testing.assert_array_equal(a, [5.0, 2.0])
    assert np.asarray(t, dtype=np.float32).dtype == np.float32
    with tn.no_grad():
        y = leaf([1.0]) * 2
    assert np.asarray(y) == 2.0
    np.array(t)[0] = 9.0
    assert t.data[0] == 1.0
    with pytest.raises(ValueError, match="copy"):
        np.array(t, dtype=np.float32, copy=False)


def test_explicit_conversions() -> None:
    x = leaf([2.5])
    with tn.no_grad():
        assert float(x) == 2.5
        assert int(x) == 2
        assert complex(x) == 2.5
    assert bool(x)
    assert f"{x.sum():.1f}" == "2.5"
    assert [10, 20, 30][tn.tensor(1)] == 20
    assert list(range(tn.tensor(3))) == [0, 1, 2]
    with pytest.raises(TypeError, match="integer"):
        [10][x]
    assert x.numpy() is x.data
    with pytest.raises(ValueError, match=r"shape \(2,\) is ambiguous.*\.any\(\).*np\.where\(.*is not None.*t\.size"):
        bool(tn.tensor([1.0, 2.0]))
    with pytest.raises(ValueError, match=r"shape \(0,\) is ambiguous"):
        bool(tn.tensor([]))
    with pytest.raises(
        TypeError, match=r"'\.2f' is for a number, and this tensor has shape \(2,\).*t\[0\].*array2string"
    ):
        f"{tn.tensor([1.0, 2.0]):.2f}"
    assert f"{tn.tensor([1.0, 2.0]):>20}" == "    Tensor([1., 2.])"
    for convert in (float, int, complex):
        with pytest.raises(ValueError, match="size 1"):
            convert(tn.tensor([1.0, 2.0]))


@pytest.mark.parametrize("requires_grad", [True, False])
def test_an_ndarray_does_not_take_a_tensor_in_place(requires_grad: bool) -> None:
    t = tn.tensor([1.0, 2.0], requires_grad=requires_grad)
    a = np.zeros(2)
    for operate in (operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ipow, operator.ifloordiv):
        with pytest.raises(TypeError, match=r"array = array \+ tensor.*tensor\.numpy\(\)"):
            operate(a, t)
    with pytest.raises(TypeError, match="array = array"):
        np.exp(t, out=a)
    if requires_grad:
        with pytest.raises(TypeError, match="not turned into an ndarray in silence"):
            np.copyto(a, t)
    assert not a.any()


# -- gradients that are not there --------------------------------------------------------------------------------


def test_a_gradient_that_is_gone_is_named_on_a_line_that_ran_often() -> None:
    w = leaf([1.0, 2.0])

    def half() -> Any:
        return w.grad * 0.5

    w.grad = np.ones(2)
    for _ in range(100):  # the interpreter specialises the instruction
        half()
    w.grad = None
    with pytest.raises(TypeError, match=r"t\.grad is None, and stands in a calculation"):
        half()


def test_a_gradient_of_none_in_a_text_is_no_calculation() -> None:
    w, text = leaf([1.0, 2.0]), "grad: %s"
    assert text % w.grad == "grad: None"


def test_a_gradient_of_none_in_a_calculation_is_named() -> None:
    w, rate = leaf([1.0, 2.0]), 0.1
    for _ in range(30):  # more often than the interpreter takes to specialise the instruction
        for wrong in (
            lambda: rate * w.grad, lambda: w.grad * rate, lambda: 0.1 * w.grad, lambda: w.grad + 2, lambda: w - w.grad,
        ):  # fmt: skip
            with pytest.raises(
                TypeError, match=r"t\.grad is None, and stands in a calculation: no gradient.*backward\(\)"
            ):
                wrong()
        one, two = 1, 2
        assert w.grad is None
        assert [w.grad, one + two, {"a": w.grad, "b": one * two}, (w.grad, 2 - one)] == [
            None,
            3,
            {"a": None, "b": 2},
            (None, 1),
        ]
        assert (w.grad or 3) + 2 == 5
        assert getattr(w, "grad", None) is None


def test_a_gradient_inside_the_graph_that_is_not_kept_is_warned_of_once() -> None:
    x = leaf([1.0, 2.0])
    y, kept = x * 3, x * 2
    kept.retain_grad()
    assert kept.grad is None  # until backward
    (y + kept).sum().backward()
    with pytest.warns(RuntimeWarning, match=r"result of op 'multiply', is None.*t\.retain_grad\(\) before") as found:
        assert [t.grad for t in (y, y, y)] == [None, None, None]
    assert len(found) == 1
    assert kept.grad.tolist() == [1.0, 1.0]
    assert tn.tensor([1.0]).grad is None


# -- item assignment ---------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:item assignment to a tensor")  # of which a view is there, as NumPy means it
def test_assignment_makes_a_new_array_and_earlier_handles_keep_the_old_values() -> None:
    t = tn.tensor([1.0, 2.0, 3.0])
    view, detached, copied, array = t[:2], t.detach(), copy.copy(t), t.data
    t[0] = 10.0
    assert t.tolist() == [10.0, 2.0, 3.0]
    for old in (detached, copied, array):
        assert old[0] == 1.0
    assert view.tolist() == [1.0, 2.0]
    source = np.zeros(2)
    tn.asarray(source)[0] = 1.0
    assert not source.any()


def test_assignment_is_recorded_and_differentiated() -> None:
    x, v = leaf([1.0, 2.0, 3.0]), leaf(5.0)
    y = x * 2
    before = y * 1
    y[1] = v * v
    (y * y).sum().backward(retain_graph=True)
    np.testing.assert_array_equal(x.grad.data, [8.0, 0.0, 24.0])
    assert v.grad.item() == 2 * 25 * 10.0
    x.grad = None
    (before * before).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [8.0, 16.0, 24.0])


def test_assignment_into_a_plain_tensor_joins_the_graph_of_the_value() -> None:
    v = leaf([1.0, 2.0])
    t = tn.tensor(np.zeros((2, 2)))
    for i in range(2):
        t[i] = v * (i + 1)
    assert t.requires_grad
    t.sum().backward()
    np.testing.assert_array_equal(v.grad.data, [3.0, 3.0])


@pytest.mark.parametrize(
    "index", [0, -1, slice(1, 3), [0, 2], np.array([True, False, True, False]), tn.tensor([1, 2]), (..., None, 0), ...]
)
def test_assignment_takes_every_kind_of_index(index: Any) -> None:
    expected = np.arange(4.0)
    raw = index.numpy() if isinstance(index, tn.Tensor) else index
    expected[raw] = 9.0
    t = tn.tensor(np.arange(4.0))
    t[index] = 9.0
    np.testing.assert_array_equal(t.data, expected)


def test_assignment_to_a_leaf_is_refused_except_under_no_grad() -> None:
    x = leaf([1.0, 2.0])
    with pytest.raises(RuntimeError, match=r"leaf that needs a gradient.*tn\.no_grad\(\).*t\.copy\(\)"):
        x[0] = 5.0
    assert x.tolist() == [1.0, 2.0]
    node, storage, detached = x.node, x.data, x.detach()
    with tn.no_grad():
        x[0] = 5.0
        x[1] = tn.tensor(6.0)
        x[np.array([1])] = leaf([7.0])
    assert x.tolist() == [5.0, 7.0]
    assert x.node is node
    assert x.data is storage
    assert detached.tolist() == [5.0, 7.0]


@pytest.mark.parametrize("kind", ["buffer", "parameter"])
def test_marked_tensors_are_written_in_place(kind: str) -> None:
    b = tn.tensor([1.0, 2.0])
    b._kind = kind
    storage = b.data
    b[0] = 3.0
    b[1] = leaf(4.0)
    assert b.data is storage
    assert storage.tolist() == [3.0, 4.0]
    assert not b.requires_grad


def test_assignment_keeps_the_dtype_and_checks_index_and_shape() -> None:
    t = tn.tensor([1.0, 2.0], dtype=np.float32)
    t[0] = np.float64(1.5)
    assert t.dtype == np.float32
    with pytest.raises(IndexError, match=r"setitem.*failed.*shape \(2,\)"):
        t[5] = 1.0
    with pytest.raises(ValueError, match=r"setitem.*\(3,\)"):
        t[:] = np.ones(3)
    assert t.tolist() == [1.5, 2.0]


# -- augmented assignment ----------------------------------------------------------------------------------------

AUGMENTED: dict[str, Any] = {
    "+=": (operator.iadd, operator.add), "-=": (operator.isub, operator.sub), "*=": (operator.imul, operator.mul),
    "/=": (operator.itruediv, operator.truediv), "//=": (operator.ifloordiv, operator.floordiv),
    "%=": (operator.imod, operator.mod), "**=": (operator.ipow, operator.pow), "@=": (operator.imatmul, operator.matmul),
    "<<=": (operator.ilshift, operator.lshift), ">>=": (operator.irshift, operator.rshift),
    "&=": (operator.iand, operator.and_), "|=": (operator.ior, operator.or_), "^=": (operator.ixor, operator.xor),
}  # fmt: skip
BITS = ("<<=", ">>=", "&=", "|=", "^=")


@pytest.mark.parametrize("sign", AUGMENTED)
def test_augmented_assignment_is_seen_through_every_name(sign: str) -> None:
    """As in NumPy, whose values it gives; the change is recorded, and what was computed before keeps the old values."""
    change, compute = AUGMENTED[sign]
    kind = np.int64 if sign in BITS else np.float64
    a, b = np.array([[5, 3], [2, 7]], kind), np.array([[1, 2], [2, 1]], kind)
    source = tn.tensor(a) if sign in BITS else leaf(a)
    t = source * 1
    alias, before = t, t * 1

    def function(x: Any) -> None:
        x = change(x, b)  # the local name

    function(t)
    expected = a.copy()
    function(expected)
    assert alias is t
    np.testing.assert_array_equal(t.data, expected)
    np.testing.assert_array_equal(before.data, a)
    assert t.dtype == kind
    if sign not in BITS:
        seed = np.array([[1.0, 2.0], [3.0, 4.0]])
        t.backward(seed)
        other = leaf(a)
        compute(other, b).backward(seed)
        np.testing.assert_array_equal(source.grad.data, other.grad.data)


def test_augmented_assignment_with_itself_and_again() -> None:
    x = leaf([1.0, 2.0])
    y = x * 3
    for _ in range(3):
        y += y
        y *= x
    y.sum().backward()
    np.testing.assert_array_equal(y.data, [24.0, 24.0 * 16])  # 24 x⁴
    np.testing.assert_array_equal(x.grad.data, [96.0, 96.0 * 8])


@pytest.mark.parametrize("sign", [s for s in AUGMENTED if s not in BITS])
def test_augmented_assignment_to_a_leaf_writes_in_place_under_no_grad_and_is_refused_elsewhere(sign: str) -> None:
    change, compute = AUGMENTED[sign]
    values, v = np.array([[5.0, 3.0], [2.0, 7.0]]), np.array([[2.0, 1.0], [1.0, 2.0]])
    w = leaf(values)
    node, storage = w.node, w.data
    words = rf"{re.escape(sign)} to a leaf .*tn\.no_grad\(\).*t = t {re.escape(sign[:-1])} v"
    with pytest.raises(RuntimeError, match=words):
        change(w, v)
    np.testing.assert_array_equal(w.data, values)
    with tn.no_grad():
        assert change(w, leaf(v)) is w
    assert w.node is node
    assert w.data is storage
    np.testing.assert_array_equal(storage, compute(values, v))


def test_updates_as_pytorch_writes_them() -> None:
    w = leaf([1.0, 2.0])
    for _ in range(2):
        w.grad = None
        (w * w).sum().backward()
        with tn.no_grad():
            w -= 0.25 * w.grad
    assert w.tolist() == [0.25, 0.5]
    assert w.requires_grad
    held = w.grad
    w.grad *= 2
    w.grad += [1.0, 0.0]
    assert w.grad.tolist() == [3.0, 4.0]
    assert w.grad is held
    (w * w).sum().backward()
    assert held.tolist() == [3.5, 5.0]
    pending = (w * w).sum()
    with tn.no_grad():
        w *= 2
    with pytest.raises(RuntimeError, match=r"changed in place by \*="):
        pending.backward()


@pytest.mark.parametrize("kind", ["buffer", "parameter"])
def test_marked_tensors_are_augmented_in_place(kind: str) -> None:
    b = tn.tensor([1.0, 2.0])
    b._kind = kind
    storage = b.data
    b += leaf([1.0, 1.0])
    assert b.data is storage
    assert storage.tolist() == [2.0, 3.0]
    assert not b.requires_grad


def _raised(function: Any, *args: Any) -> type[Exception] | None:
    try:
        function(*args)
    except (TypeError, ValueError) as error:
        return TypeError if isinstance(error, TypeError) else ValueError
    return None


@pytest.mark.parametrize("marked", [False, True])
def test_augmented_assignment_takes_what_numpy_takes(marked: bool) -> None:
    """Of all pairs of dtypes and shapes: NumPy's result, or an error, which leaves the tensor as it is."""
    kinds = [np.bool_, np.int8, np.int64, np.uint64, np.float32, np.float64, np.complex128]
    values: list[Any] = [
        3,
        0.5,
        1j,
        *(np.ones(2, kind) for kind in kinds),
        np.ones((2, 2)),
        np.ones((1, 2)),
        np.ones(1),
    ]
    refused = 0
    for kind in kinds:
        for sign in ("+=", "/=", "*="):
            for v in values:
                change = AUGMENTED[sign][0]
                a = np.array([1, 1], kind)
                t = tn.tensor(a)
                t._kind = "buffer" if marked else None
                with np.errstate(all="ignore"):
                    error = _raised(change, a, v)
                    assert _raised(change, t, v) is error
                refused += error is not None
                np.testing.assert_array_equal(t.data, a)
                assert t.dtype == kind
    assert refused > 40


@pytest.mark.parametrize("value", [None, object()])
def test_what_is_no_array_is_not_told_of_shapes(value: Any) -> None:
    with pytest.raises(TypeError, match=r"add\(x: float64 \(3,\), y: .*unsupported operand") as found:
        tn.zeros(3) + value
    assert "last axes" not in str(found.value)


def test_augmented_assignment_says_what_to_write_instead() -> None:
    counts, row = tn.tensor([1, 2]), tn.tensor([1.0, 2.0])
    with pytest.raises(
        TypeError, match=r"/= gives float64, which a tensor of int64 cannot hold: write t = t / v .*\.astype"
    ):
        counts /= 2
    with pytest.raises(
        ValueError, match=r"\+= would change the shape of a tensor from \(2,\) to \(3, 2\).*write t = t \+ v"
    ):
        row += np.ones((3, 2))
    assert (counts.tolist(), row.tolist()) == ([1, 2], [1.0, 2.0])


def test_a_change_under_no_grad_that_takes_a_tensor_out_of_its_graph_is_warned_of() -> None:
    x = leaf([1.0, 2.0])
    y, z, free = x * 2, x * 3, (x * 4).detach()
    words = r"under tn\.no_grad\(\) takes a tensor out of its graph.*result of op 'multiply'.*t\.detach\(\)"
    with tn.no_grad():
        with pytest.warns(RuntimeWarning, match=rf"\+= {words}"):
            y += 1
        with pytest.warns(RuntimeWarning, match=rf"item assignment {words}"):
            z[0] = 1.0
        free += 1
        y += 1  # it is outside now
    assert (y.tolist(), z.tolist(), free.tolist()) == ([4.0, 6.0], [1.0, 6.0], [5.0, 9.0])
    assert [t.requires_grad for t in (y, z)] == [False, False]


def test_parts_of_a_tensor_are_changed_through_it() -> None:
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    t = x * 1
    row = t[0]
    row += 10  # no view of t
    t[1] *= 3
    t[:, 0] += t[:, 1]
    assert row.tolist() == [11.0, 12.0]
    assert t.tolist() == [[3.0, 2.0], [21.0, 12.0]]
    (t.sum() + row.sum()).backward()
    assert x.grad.tolist() == [[2.0, 3.0], [3.0, 6.0]]
    with tn.no_grad():
        x[0] -= 1
    assert x.tolist() == [[0.0, 1.0], [3.0, 4.0]]


# -- assigning data ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.array([5.0, 6.0]), [5.0, 6.0], tn.tensor([5.0, 6.0]), np.array([5, 6], np.int32)])
def test_data_is_copied_into_storage(value: Any) -> None:
    x = leaf([1.0, 2.0], np.float32)
    storage, node, alias = x.data, x.node, x.detach()
    x.data = value
    assert x.data is storage
    assert x.node is node
    assert x.dtype == np.float32
    assert alias.tolist() == [5.0, 6.0]
    x.data[0] = 9.0
    assert np.asarray(value)[0] == 5.0


@pytest.mark.parametrize("value", [np.zeros(3), np.zeros((2, 1)), 1.0, tn.tensor(1.0)])
def test_data_of_another_shape_is_refused(value: Any) -> None:
    x = leaf([1.0, 2.0])
    with pytest.raises(ValueError, match=r"of shape .* to a tensor of shape \(2,\).*make a new tensor"):
        x.data = value
    assert x.tolist() == [1.0, 2.0]


def test_data_of_another_kind_is_refused() -> None:
    t = tn.tensor([1, 2])
    with pytest.raises(TypeError, match="same_kind"):
        t.data = np.array([1.5, 2.5])
    assert t.tolist() == [1, 2]


def test_data_updated_by_an_operator_is_the_same_storage() -> None:
    x = leaf([1.0, 2.0])
    storage = x.data
    x.data -= 0.5
    assert x.data is storage
    assert x.tolist() == [0.5, 1.5]


# -- copies ------------------------------------------------------------------------------------------------------


def test_deepcopy_copies_values_gradient_and_marks() -> None:
    x = leaf([1.0, 2.0])
    x._kind = "parameter"
    (x * 3).sum().backward()
    made = copy.deepcopy(x)
    assert made.requires_grad
    assert made.node is not x.node
    assert made._kind == "parameter"
    assert made.grad.tolist() == [3.0, 3.0]
    made.data[0] = 9.0
    made.grad.data[0] = 9.0
    assert x.tolist() == [1.0, 2.0]
    assert x.grad.tolist() == [3.0, 3.0]
    (made * 2).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]
    plain = copy.deepcopy(tn.tensor([1.0]))
    assert not plain.requires_grad
    pair = copy.deepcopy([x, x])
    assert pair[0] is pair[1]


def test_deepcopy_inside_a_graph_is_refused() -> None:
    with pytest.raises(TypeError, match=r"copy the graph.*t\.detach\(\)"):
        copy.deepcopy(leaf([1.0]) * 2)


def test_a_shallow_copy_shares_storage_and_graph() -> None:
    x = leaf([1.0])
    made = copy.copy(x)
    assert made is not x
    assert made.data is x.data
    assert made.node is x.node
    (made * 2).sum().backward()
    assert x.grad.tolist() == [2.0]


def test_copy_has_its_own_storage_and_stays_in_the_graph() -> None:
    x = leaf([1.0, 2.0])
    y = x.copy()
    y[0] = 5.0
    assert x.tolist() == [1.0, 2.0]
    (y * y).sum().backward()
    assert x.grad.tolist() == [0.0, 4.0]


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("needs", [False, True])
def test_tensors_are_pickled_with_gradient_and_memory_order(protocol: int, needs: bool) -> None:
    for array in (
        np.arange(6.0).reshape(2, 3).T,
        np.ones((2, 3, 4)).transpose(2, 0, 1),
        np.float32(3),
        np.zeros((0, 2)),
    ):
        t = tn.tensor(array, requires_grad=needs)
        t.grad = np.ones(np.shape(array))
        made = pickle.loads(pickle.dumps(t, protocol))
        np.testing.assert_array_equal(made.data, t.data, strict=True)
        assert made.data.strides == t.data.strides or not t.size
        assert made.requires_grad == needs
        assert made.grad.tolist() == t.grad.tolist()
        assert made.grad is not t.grad
        assert made.data.flags.writeable


def test_tensors_are_pickled_by_buffer() -> None:
    pytest.importorskip("ml_dtypes")
    for dtype in ("float32", "bfloat16"):
        t = tn.tensor(np.zeros((500, 1000), dtype_of(dtype)).T)
        buffers: list[pickle.PickleBuffer] = []
        head = pickle.dumps(t, 5, buffer_callback=buffers.append)
        assert len(head) < 500
        assert len(buffers) == 1
        assert np.shares_memory(np.frombuffer(buffers[0], np.uint8), t.data.T.view(np.uint8))
        for given in (
            buffers,
            [bytes(buffers[0].raw())],
        ):  # as they come from a process: of bytes an array is read-only
            made = pickle.loads(head, buffers=given)
            assert (made.dtype, made.shape, made.data.strides) == (t.dtype, t.shape, t.data.strides)
            assert made.data.flags.writeable


def test_a_tensor_in_a_graph_is_not_pickled() -> None:
    x = leaf([1.0])
    with pytest.raises(TypeError, match=r"a tensor inside a graph would leave the graph behind: give t.detach\(\)"):
        pickle.dumps(x * 2)
    assert pickle.loads(pickle.dumps((x * 2).detach())).tolist() == [2.0]
    with pytest.raises(tn.CaptureError, match=r"value of a tensor that is being captured"):
        tn.compile(lambda x: (pickle.dumps(x), x)[1])(np.ones(2))


# -- showing -----------------------------------------------------------------------------------------------------


def test_repr() -> None:
    assert repr(tn.tensor([1.0, 2.0])) == "Tensor([1., 2.])"
    assert repr(tn.tensor([1, 2])) == "Tensor([1, 2], dtype=int64)"
    assert repr(tn.tensor([True])) == "Tensor([ True])"
    assert repr(tn.tensor(1.5, dtype=np.float32)) == "Tensor(1.5, dtype=float32)"
    x = leaf([1.0])
    assert repr(x) == "Tensor([1.], requires_grad=True)"
    assert repr(x * 2) == "Tensor([2.], op=multiply)"
    assert repr(tn.tensor([[1.0], [2.0]])) == "Tensor([[1.],\n        [2.]])"
    assert repr(tn.tensor([])) == "Tensor([])"
    assert len(repr(tn.tensor(np.zeros((1000, 1000))))) < 1000
    assert str(x) == repr(x)


# -- sequences, comparisons, hashing -----------------------------------------------------------------------------


def test_iteration_stays_in_the_graph() -> None:
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    rows = list(x)
    assert [r.tolist() for r in rows] == [[1.0, 2.0], [3.0, 4.0]]
    a, b = x
    (a * b).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [[3.0, 4.0], [1.0, 2.0]])
    assert list(tn.tensor(np.zeros((0, 2)))) == []
    assert [v.item() for v in reversed(tn.tensor([1.0, 2.0]))] == [2.0, 1.0]
    for use in (iter, len):
        with pytest.raises(TypeError, match="no axes"):
            use(tn.tensor(1.0))


def test_equality_is_elementwise_and_hashing_by_identity() -> None:
    x, y = tn.tensor([1.0, 2.0]), tn.tensor([1.0, 3.0])
    assert (x == y).tolist() == [True, False]
    assert (x != y).tolist() == [False, True]
    assert (x == None).tolist() == [False, False]  # noqa: E711
    assert hash(x) == hash(x)
    assert len({x, y, x}) == 2
    assert {x: 1}[x] == 1
    assert x in {x}
    assert 2.0 in x
    assert 5.0 not in x
    assert tn.tensor(2.0) in x


# -- kinds of arrays ---------------------------------------------------------------------------------------------


def test_arrays_without_axes() -> None:
    x = leaf(2.0)
    y = np.exp(x) * x + x[...] - x.reshape(1)[0]
    assert y.shape == ()
    y.backward()
    assert x.grad.shape == ()
    assert x.grad.item() == pytest.approx(math.exp(2) * 3)
    assert x.sum().shape == x.max().shape == x.T.shape == ()


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 3)])
def test_empty_arrays(shape: tuple[int, ...]) -> None:
    x = leaf(np.zeros(shape))
    y = np.exp(x * 2 + np.zeros(shape)).reshape(-1)
    (y.sum() + x.sum(axis=0).sum() + x.prod() + tn.concatenate([x, x]).sum() + x[:0].sum()).backward()
    assert x.grad.shape == shape
    np.testing.assert_array_equal(x.grad.data, np.zeros(shape))
    with pytest.raises(ValueError, match=r"max.*zero-size"):
        x.max()


def test_integer_tensors_take_part_without_gradient() -> None:
    n = tn.tensor([1, 2, 3])
    x = leaf([1.0, 2.0, 3.0])
    assert (n + 1).dtype == np.int64
    assert (n / 2).dtype == np.float64
    assert n.sum().dtype == np.int64
    ((n * x) ** 2 + x[n - 1] + x**n).sum().backward()
    np.testing.assert_allclose(x.grad.data, 2 * np.array([1.0, 4, 9]) * [1, 2, 3] + 1 + [1, 4, 27])
    assert not n.requires_grad
    assert x.astype(np.int32).dtype == np.int32
    assert not x.astype(np.int32).requires_grad
    assert n.astype(np.float64).requires_grad is False


def test_methods_are_the_functions() -> None:
    a = np.arange(1.0, 7.0).reshape(2, 3)
    t = tn.tensor(a)
    pairs: list[tuple[Any, Any]] = [
        (t.sum(1), a.sum(1)), (t.sum(axis=0, keepdims=True), a.sum(axis=0, keepdims=True)), (t.mean(0), a.mean(0)),
        (t.var(0, ddof=1), np.var(a, 0, ddof=1)), (t.std(axis=1, ddof=1), a.std(axis=1, ddof=1)), (t.max(1), a.max(1)),
        (t.min(axis=0), a.min(axis=0)), (t.prod(1), a.prod(1)), (t.argmax(1), a.argmax(1)), (t.argmin(), a.argmin()),
        (t.clip(2, 4), a.clip(2, 4)), (t.reshape(3, 2), a.reshape(3, 2)), (t.reshape((3, -1)), a.reshape((3, -1))),
        (t.reshape(-1), a.reshape(-1)), (t.transpose(), a.transpose()), (t.transpose(1, 0), a.transpose(1, 0)),
        (t.transpose((1, 0)), a.transpose((1, 0))), (t.transpose(None), a.transpose(None)), (t.T, a.T),
        (t.swapaxes(0, 1), a.swapaxes(0, 1)), (t[:, :1].squeeze(1), a[:, :1].squeeze(1)), (t.flatten(), a.flatten()),
        (t.ravel(), a.ravel()), (t.astype(np.float32), a.astype(np.float32)), (t.dot(a[0]), a.dot(a[0])),
        ((t > 2).all(1), (a > 2).all(1)), ((t > 2).any(axis=1, keepdims=True), (a > 2).any(axis=1, keepdims=True)),
    ]  # fmt: skip
    for got, expected in pairs:
        assert isinstance(got, tn.Tensor)
        assert got.dtype == np.asarray(expected).dtype
        np.testing.assert_array_equal(got.data, expected)


def test_tensor_is_the_one_type() -> None:
    with pytest.raises(TypeError, match=r"Tensor has no subclasses.*__tapenet_op__"):
        type("Mine", (tn.Tensor,), {})


def test_what_is_made_first_is_a_tensor() -> None:
    """In a program that has made no tensor yet."""
    code = "import tapenet as tn; assert type(tn.zeros(3)) is tn.Tensor"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestWritesInPlace:
    """`t[i] = v` writes into the array where nobody else could see it, so that n writes cost n parts, not n wholes."""

    def test_an_array_that_the_tensor_holds_alone_is_kept(self) -> None:
        for t in (tn.zeros(4), tn.tensor(np.ones(4), requires_grad=True) * 2):
            before = id(t._data)
            t[1] = 5.0
            t[2:] = tn.tensor([1.0, 2.0], requires_grad=True)
            assert id(t._data) == before
            assert t.numpy()[1:].tolist() == [5.0, 1.0, 2.0]

    def test_who_has_the_array_keeps_the_old_values(self) -> None:
        x = tn.tensor(np.ones(4), requires_grad=True)
        y = np.exp(x)  # whose rule saves the result
        y[0] = 0.0
        y.sum().backward()
        assert x.grad is not None
        assert x.grad.numpy() == pytest.approx([0.0, np.e, np.e, np.e])
        t = tn.zeros(4)
        given, view, handle = t.numpy(), t[1:], t.detach()
        t[...] = 1.0
        assert not given.any()
        assert not view.numpy().any()
        assert not handle.numpy().any()

    def test_the_gradient_of_many_writes_is_cleared_in_place(self) -> None:
        n = 200
        x = tn.tensor(np.full(n, 0.5), requires_grad=True)
        grids = [tn.zeros((40, n)) for _ in range(2)]
        for grid in grids:  # the second with fancy indices
            grid[0] = x
        for i in range(39):
            grids[0][i + 1] = np.sin(grids[0][i])
            grids[1][[i + 1]] = np.sin(grids[1][[i]])
            grids[1][i + 1, 3] = grids[1][i, 2]  # written twice
        found = []
        for grid in grids:
            x.grad = None
            (grid * grid).sum().backward(retain_graph=True)
            assert x.grad is not None
            found.append(x.grad.numpy().copy())
        u = np.full(n, 0.5)
        rows, slope = [u], np.zeros(n)
        for _ in range(39):
            rows.append(np.sin(rows[-1]))
        for i in reversed(range(40)):
            slope = slope * np.cos(rows[i]) + 2 * rows[i]
        assert found[0] == pytest.approx(slope)
        assert np.delete(found[1], [2, 3]) == pytest.approx(np.delete(slope, [2, 3]))

    def test_a_gradient_that_is_kept_is_not_cleared(self) -> None:
        x = tn.tensor(np.ones(3), requires_grad=True)
        y = x * 2
        y[0] = x[1]
        y[1] = x[2]
        y.retain_grad()
        (y[0] * y[1] + y[2]).backward()
        assert y.grad is not None
        assert y.grad.numpy().tolist() == [1.0, 1.0, 1.0]
