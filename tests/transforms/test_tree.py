"""Trees: what is a container, structures that match or do not, vectors of all numbers."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, defaultdict, namedtuple
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn
from tapenet.program import trees
from tapenet.program.trees import placed

Pair = namedtuple("Pair", "left right")


@dataclasses.dataclass(frozen=True)
class Body:
    mass: Any
    place: Any
    name: str = dataclasses.field(default="body", metadata={"static": True})


@dataclasses.dataclass
class Squared:
    x: Any
    square: Any = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.square = self.x * self.x


class Line:
    """A class of one's own."""

    def __init__(self, slope: Any, offset: Any, unit: str) -> None:
        self.slope, self.offset, self.unit = slope, offset, unit

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Line) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    before = dict(trees._registered)
    tn.tree.register(
        Line, lambda v: ({"slope": v.slope, "offset": v.offset}, v.unit), lambda unit, parts: Line(**parts, unit=unit)
    )
    yield
    trees._registered.clear()
    trees._registered.update(before)
    trees._containers_by_type.cache_clear()


TREES = [
    (3.0, [3.0], ["tree"]),
    (None, [], []),
    ((1, [2, None], ()), [1, 2], ["tree[0]", "tree[1][0]"]),
    ({"b": 1, "a": (2,)}, [1, 2], ["tree['b']", "tree['a'][0]"]),
    ({0: 1, (1, 2): 3}, [1, 3], ["tree[0]", "tree[(1, 2)]"]),
    (Pair(1, Pair(2, None)), [1, 2], ["tree.left", "tree.right.left"]),
    (OrderedDict(z=1, a=2), [1, 2], ["tree['z']", "tree['a']"]),
    (Body(1, {"x": 2}, "moon"), [1, 2], ["tree.mass", "tree.place['x']"]),
    (Line(1, [2], "m"), [1, 2], ["tree.slope", "tree.offset[0]"]),
]


@pytest.mark.parametrize(("tree", "leaves", "paths"), TREES, ids=[repr(t)[:30] for t, *_ in TREES])
def test_a_tree_is_taken_apart_and_put_together(tree: Any, leaves: list[Any], paths: list[str]) -> None:
    found, structure = tn.tree.flatten(tree)
    assert found == tn.tree.leaves(tree) == leaves
    assert tn.tree.paths(tree) == paths
    made = tn.tree.unflatten(structure, found)
    assert made == tree
    assert type(made) is type(tree)
    assert structure == tn.tree.structure(tree)
    assert hash(structure) == hash(tn.tree.structure(tree))
    assert tn.tree.leaves(tn.tree.map(lambda v: v * 10, tree)) == [v * 10 for v in leaves]
    assert structure.take(tree) == leaves
    with placed(tree, found) as given:
        assert given == tree


def test_a_structure_holds_no_leaf() -> None:
    """Or a gradient's structure would keep arrays alive."""
    import gc

    class Leaf:
        pass

    structure = tn.tree.structure({"a": Leaf(), "b": (Leaf(), Body(Leaf(), defaultdict(int, x=Leaf())))})
    gc.collect()
    assert not [v for v in gc.get_objects() if type(v) is Leaf]
    assert structure.count == 4


def test_a_default_factory_stays() -> None:
    made = tn.tree.map(lambda v: v + 1, defaultdict(list, a=1))
    assert made == {"a": 2}
    assert made["new"] == []


def test_fields_without_init_are_made_again() -> None:
    made = tn.tree.map(lambda v: v + 1, Squared(2))
    assert (made.x, made.square) == (3, 9)
    assert tn.tree.leaves(made) == [3]


def test_a_dataclass_that_cannot_be_made_again_is_named() -> None:
    @dataclasses.dataclass
    class Odd:
        x: float
        scale: dataclasses.InitVar[float]

        def __post_init__(self, scale: float) -> None:
            self.x *= scale

    with pytest.raises(TypeError, match=r"Odd cannot be made of its fields x .*'scale'.*tn\.tree\.register"):
        tn.tree.map(abs, Odd(1.0, 2.0))


DIFFERENT = [
    ({"a": 1}, {"b": 1}, r"at tree the first has a dict of 'a', the other has a dict of 'b'"),
    ({"a": (1, 2)}, {"a": (1,)}, r"at tree\['a'\] the first has tuple of length 2, the other has tuple of length 1"),
    ({"a": (1, 2)}, {"a": [1, 2]}, r"at tree\['a'\] .*tuple of length 2, .*list of length 2"),
    ([1, None], [1, 2], r"at tree\[1\] the first has None, the other has a value"),
    ([1, 2], [1, None], r"at tree\[1\] the first has a value, the other has None"),
    (Pair(1, 2), (1, 2), r"at tree the first has Pair of length 2, the other has tuple of length 2"),
    (Pair(1, [2]), Pair(1, 2), r"at tree\.right the first has list of length 1, the other has a value"),
    (Body(1, [2]), Body(1, (2,)), r"at tree\.place the first has list"),
    (Body(1, 2, "a"), Body(1, 2, "b"), r"at tree the first has a Body with \(\('name', 'a'\),\), the other one with"),
    (Line(1, (2,), "m"), Line(1, 2, "m"), r"at tree\.offset the first has tuple of length 1"),
    (Line(1, 2, "m"), Line(1, 2, "km"), r"at tree the first has a Line with 'm', the other one with 'km'"),
]


@pytest.mark.parametrize(("first", "other", "message"), DIFFERENT, ids=[m[:40] for *_, m in DIFFERENT])
def test_structures_that_differ_are_named_with_the_path(first: Any, other: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tn.tree.map(lambda a, b: a, first, other)
    assert tn.tree.structure(first) != tn.tree.structure(other)


def test_keys_in_another_order_match() -> None:
    assert tn.tree.map(lambda a, b: a - b, {"x": 5, "y": 7}, {"y": 1, "x": 2}) == {"x": 3, "y": 6}


def test_too_few_leaves() -> None:
    with pytest.raises(ValueError, match=r"tn\.tree\.unflatten: 1 leaves for Structure\(\(\*, \*\)\), which has 2"):
        tn.tree.unflatten(tn.tree.structure((1, 2)), [1])


def test_registration_says_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="Line is a container already"):
        tn.tree.register(Line, lambda v: ((), None), lambda s, p: Line(1, 2, "m"))
    with pytest.raises(ValueError, match="Linear is a container already"):
        tn.tree.register(nn.Linear, lambda v: ((), None), lambda s, p: nn.Linear(1, 1))
    with pytest.raises(TypeError, match=r"takes a class, not int"):
        tn.tree.register(3, lambda v: ((), None), lambda s, p: 3)  # type: ignore[arg-type]

    class Wrong:
        pass

    tn.tree.register(Wrong, lambda v: [1, 2], lambda s, p: Wrong())  # type: ignore[arg-type,return-value]
    with pytest.raises(TypeError, match=r"the flatten of Wrong must return a pair \(parts, static\)"):
        tn.tree.leaves(Wrong())


def test_a_subclass_of_a_registered_class_is_a_container() -> None:
    class Steep(Line):
        pass

    assert tn.tree.leaves(Steep(1, 2, "m")) == [1, 2]


# -- modules -----------------------------------------------------------------------------------------------------


def test_a_module_stands_for_its_parameters_by_name() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    by_name = dict(net.named_parameters())
    assert tn.tree.map(id, net) == {name: id(p) for name, p in by_name.items()}
    assert tn.tree.structure(net) == tn.tree.structure(by_name)
    assert tn.tree.paths({"net": net}) == [f"tree['net'][{name!r}]" for name in by_name]
    doubled = tn.tree.map(lambda p, q: p + q, net, by_name)
    np.testing.assert_array_equal(doubled["0.weight"].numpy(), 2 * net[0].weight.numpy())
    with pytest.raises(
        ValueError, match=r"at tree the first has a dict of '0.weight'.* the other has a dict of 'weight'"
    ):
        tn.tree.map(lambda p, q: p, net, nn.Linear(2, 3))


def test_a_module_has_other_parameters_inside_a_block_alone() -> None:
    net = nn.Linear(2, 3)
    own = net.weight, net.bias
    with placed([net], [np.zeros((3, 2)), np.ones(3)]) as (given,):
        assert given is net
        np.testing.assert_array_equal(net(np.ones((1, 2))).numpy(), [[1.0, 1.0, 1.0]])
        assert [name for name, _ in net.named_parameters()] == ["weight", "bias"]
    assert net.weight is own[0]
    assert net.bias is own[1]


# -- vectors -----------------------------------------------------------------------------------------------------


def test_ravel_promotes_and_restores_dtypes() -> None:
    tree = {"a": np.float32([[1, 2], [3, 4]]), "b": (np.int64(5), Body(2.5, np.zeros((0, 2)))), "c": None}
    vector, unravel = tn.tree.ravel(tree)
    assert vector.dtype == np.float64
    assert vector.tolist() == [1, 2, 3, 4, 5, 2.5]
    back = unravel(vector)
    assert tn.tree.structure(back) == tn.tree.structure(tree)
    dtypes = [np.asarray(leaf).dtype for leaf in tn.tree.leaves(tree)]
    for leaf, old, dtype in zip(tn.tree.leaves(back), tn.tree.leaves(tree), dtypes, strict=True):
        assert leaf.dtype == dtype
        np.testing.assert_array_equal(leaf.numpy(), old)


def test_ravel_of_complex_and_of_nothing() -> None:
    vector, unravel = tn.tree.ravel([1.0, 2j])
    assert vector.dtype == np.complex128
    assert [leaf.dtype for leaf in unravel(vector)] == [np.float64, np.complex128]
    empty, unravel = tn.tree.ravel({"a": None})
    assert empty.shape == (0,)
    assert unravel(empty) == {"a": None}


def test_ravel_is_differentiable() -> None:
    tree = {"w": np.array([[1.0, 2.0]]), "b": np.float32(3)}
    _, unravel = tn.tree.ravel(tree)
    weights = np.array([1.0, 10.0, 100.0])
    gradient = tn.grad(lambda t: (tn.tree.ravel(t)[0] ** 2 * weights).sum())(tree)
    np.testing.assert_array_equal(gradient["w"], [[2.0, 40.0]])
    assert gradient["b"].dtype == np.float32
    assert gradient["b"].item() == 600
    by_vector = tn.grad(lambda v: unravel(v)["w"].sum() * unravel(v)["b"])(np.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(by_vector, [3.0, 3.0, 3.0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tn.tree.ravel({"a": "text"}), r"tn\.tree\.ravel: tree\['a'\] is str, not an array"),
        (lambda: tn.tree.ravel([1.0, 2.0])[1]([1.0]), r"unravel takes a vector of shape \(2,\), not \(1,\)"),
    ],
)
def test_ravel_says_what_is_wrong(call: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        call()


def test_structures_agree_with_jax() -> None:
    jax = pytest.importorskip("jax")
    for tree, _, _ in TREES:
        if not isinstance(tree, (Body, Line)) and not (isinstance(tree, dict) and list(tree) != sorted(map(str, tree))):
            assert tn.tree.leaves(tree) == jax.tree.leaves(tree)
