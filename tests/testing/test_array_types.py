"""The check of array types finds what is wrong with one."""

import numpy as np
import pytest

import tapenet as tn


class Wrapped(tn.Operand):
    """An array type that is right."""

    def __init__(self, value):
        self.value = value
        self.shape, self.dtype, self.ndim = value.shape, value.dtype, value.ndim

    def __tapenet_op__(self, op, args, kwargs):
        args, kwargs = tn.tree.map(lambda a: a.value if isinstance(a, Wrapped) else a, (args, kwargs))
        return tn.tree.map(type(self), op(*args, **kwargs))


class Bare:
    def __init__(self, value):
        self.value = value


class NoOperand(Bare):
    def __tapenet_op__(self, op, args, kwargs):
        return NotImplemented


class OneResult(Wrapped):
    def __tapenet_op__(self, op, args, kwargs):
        args, kwargs = tn.tree.map(lambda a: a.value if isinstance(a, Wrapped) else a, (args, kwargs))
        out = op(*args, **kwargs)
        return OneResult(out[0] if isinstance(out, tuple) else out)


class NoLists(Wrapped):
    def __tapenet_op__(self, op, args, kwargs):
        if any(isinstance(a, list) for a in args):
            return NotImplemented
        return super().__tapenet_op__(op, args, kwargs)


class Unwrapped(Wrapped):
    def __tapenet_op__(self, op, args, kwargs):
        args, kwargs = tn.tree.map(lambda a: a.value if isinstance(a, Wrapped) else a, (args, kwargs))
        return op(*args, **kwargs)


class Detached(Wrapped):
    def __tapenet_op__(self, op, args, kwargs):
        args, kwargs = tn.tree.map(lambda a: a.value.detach() if isinstance(a, Wrapped) else a, (args, kwargs))
        return tn.tree.map(Detached, op(*args, **kwargs))


class OldShape(Wrapped):
    def __init__(self, value, shape=None):
        super().__init__(value)
        self.shape = value.shape if shape is None else shape

    def __tapenet_op__(self, op, args, kwargs):
        args, kwargs = tn.tree.map(lambda a: a.value if isinstance(a, Wrapped) else a, (args, kwargs))
        return tn.tree.map(lambda out: OldShape(out, self.shape), op(*args, **kwargs))


class Swapped(Wrapped):
    def __tapenet_op__(self, op, args, kwargs):
        args, kwargs = tn.tree.map(lambda a: a.value if isinstance(a, Wrapped) else a, (args, kwargs))
        if op.name == "own":
            args = args[::-1]
        return tn.tree.map(Swapped, op(*args, **kwargs))


class Declines(Wrapped):
    def __tapenet_op__(self, op, args, kwargs):
        return NotImplemented if op.name == "inv" else super().__tapenet_op__(op, args, kwargs)


def test_a_right_type_passes():
    tn.testing.check_array_type(Wrapped, lambda w: w.value)
    tn.testing.check_array_type(lambda t: Wrapped(t.data), lambda w: getattr(w.value, "data", w.value))


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (Bare, r"Bare has no method __tapenet_op__"),
        (NoOperand, r"NoOperand does not derive from tn.Operand"),
        (OneResult, r"two results: it gave 1 results, not 2: wrap each"),
        (NoLists, r"np.concatenate\(\[a, x\]\): it raised TypeError: .*NotImplemented"),
        (Unwrapped, r"x \+ a: it gave a Tensor, not a Unwrapped"),
        (Detached, r"x \+ a: no gradient flows through it; keep the tensors"),
        (OldShape, r"x\[0\]: its shape is \(2, 2\), but that of its values is \(2,\)"),
        (Swapped, r"with \(x, a\): its values are not those of the tensor alone"),
        (Declines, r"np.linalg.inv\(x\): it raised TypeError: .*NotImplemented"),
    ],
)
def test_what_is_wrong_is_named(kind, says):
    with pytest.raises(AssertionError, match=says):
        tn.testing.check_array_type(kind, lambda w: w.value)


def test_plain_arrays_inside_are_checked_without_gradients():
    class Arrays(Wrapped):
        def __tapenet_op__(self, op, args, kwargs):
            args, kwargs = tn.tree.map(lambda a: a.value if isinstance(a, Wrapped) else a, (args, kwargs))
            return tn.tree.map(Arrays, op(*args, **kwargs))

    tn.testing.check_array_type(lambda t: Arrays(np.array(t.data)), lambda w: w.value)
