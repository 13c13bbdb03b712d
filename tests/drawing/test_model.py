"""The drawing as plain data, in words."""

from __future__ import annotations

from tapenet.drawing.model import Cluster, Value

A = Value((2, 3), "f32")
B = Value((4,), "f64")


def test_values_and_clusters_in_words() -> None:
    assert [str(v) for v in (A, B, Value((), "bool"), Value((0, 1), "i8"))] == [
        "2×3 f32",
        "4 f64",
        "scalar bool",
        "0×1 i8",
    ]
    outer, inner = Cluster("", "Net", parameters=4), Cluster("inner", "Inner", "inner", 0, 1)
    assert (outer.title, outer.place) == ("Net", "Net")
    deeper = Cluster("0", "Linear", "layers.0", 1, 2)
    assert (inner.title, inner.place, deeper.title, deeper.place) == (
        "inner · Inner",
        "inner · Inner",
        "0 · Linear",
        "layers.0 · Linear",
    )
