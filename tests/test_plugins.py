"""What other packages bring by entry points."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.special import _ufuncs as special

import tapenet as tn
from tapenet import nn, optim, plugins
from tapenet.__main__ import main
from tapenet.ops.registry import numpy_functions

OPS = """
import numpy as np
import tapenet as tn
from scipy.special import _ufuncs as special

softest = tn.op(lambda x: np.logaddexp(0, x), name="softest", doc="A softplus.")


cospi = tn.op(lambda x: special._cospi(x), name="cospi_beside", numpy=special._cospi, nondiff=True)
"""
LAYERS = """
import numpy as np
import tapenet as tn


class Twice(tn.nn.Module):
    def forward(self, x):
        return x * 2


Linear = Twice


def half_loss(output, target):
    return (output - target) ** 2 / 2


def eights_(tensor):
    tensor.data = np.full(tensor.shape, 8.0)
    return tensor


def halving(lr):
    return lambda step: lr / 2**step
"""
ENTRIES = """
[tapenet.ops]
softest = tapenet_softest.ops:softest

[tapenet.layers]
Twice = tapenet_softest.layers:Twice
Linear = tapenet_softest.layers:Linear
Broken = tapenet_softest.broken:Broken
Missing = tapenet_softest.layers:Nonesuch

[tapenet.losses]
half_loss = tapenet_softest.layers:half_loss

[tapenet.initialisers]
eights_ = tapenet_softest.layers:eights_

[tapenet.schedules]
halving = tapenet_softest.layers:halving

[tapenet.optimizers]
Broken = tapenet_softest.broken:Broken

[tapenet.themes]
night = tapenet_softest.layers:Linear
Broken = tapenet_softest.broken:Broken
"""


def install(folder: Path, name: str, entries: str, files: dict[str, str]) -> None:
    """Put a package where an installer would."""
    record = folder / f"{name}-1.2.dist-info"
    record.mkdir()
    (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n", encoding="utf-8")
    (record / "entry_points.txt").write_text(entries, encoding="utf-8")
    (folder / name).mkdir()
    for file, text in files.items():
        (folder / name / file).write_text(text, encoding="utf-8")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    files = {"__init__.py": "", "ops.py": OPS, "layers.py": LAYERS, "broken.py": "raise ImportError('no such wheel')"}
    install(tmp_path, "tapenet_softest", ENTRIES, files)
    monkeypatch.syspath_prepend(tmp_path)
    plugins.forget()
    yield tmp_path
    plugins.forget()
    for module in [m for m in sys.modules if m.startswith("tapenet_softest")]:
        del sys.modules[module]
    numpy_functions.pop(special._cospi, None)
    for space, name in (
        (tn, "softest"), (nn, "Twice"), (nn.functional, "half_loss"), (nn.init, "eights_"), (optim, "halving"),
    ):  # fmt: skip
        vars(space).pop(name, None)


def test_each_is_loaded_when_its_name_is_first_asked_for(installed: Path) -> None:
    assert [p.name for p in plugins.plugins() if p.package == "tapenet_softest 1.2"] == [
        "softest", "Twice", "Linear", "Broken", "Missing", "half_loss", "eights_", "Broken", "halving", "night", "Broken",
    ]  # fmt: skip
    assert not [m for m in sys.modules if m.startswith("tapenet_softest")]
    assert nn.Twice()(tn.tensor([1.0])).tolist() == [2.0]  # type: ignore[attr-defined]
    assert "tapenet_softest.ops" not in sys.modules
    assert tn.softest(tn.tensor(0.0)).item() == np.log(2)  # type: ignore[attr-defined]
    assert nn.functional.half_loss(2.0, 0.0) == 2  # type: ignore[attr-defined]
    assert nn.init.eights_(tn.tensor([1.0])).tolist() == [8.0]  # type: ignore[attr-defined]
    assert optim.halving(1.0)(2) == 0.25  # type: ignore[attr-defined]
    assert nn.Linear(2, 3).in_features == 2  # tapenet's own names stay its own


def test_a_broken_one_is_named_and_left_out(installed: Path) -> None:
    said = (
        "the plugin 'Broken' of tapenet_softest 1.2 .tapenet.themes, tapenet_softest.broken:Broken. is left out, as it "
    )
    with pytest.warns(UserWarning, match=f"{said}cannot be loaded: ImportError: no such wheel") as caught:
        assert list(plugins.found("tapenet.themes")) == ["night"]
    assert len(caught) == 1
    with warnings.catch_warnings(action="error"):  # once
        assert list(plugins.found("tapenet.themes")) == ["night"]
    with (
        pytest.warns(UserWarning, match="AttributeError"),
        pytest.raises(AttributeError, match="no attribute 'Missing'"),
    ):
        nn.Missing  # type: ignore[attr-defined]  # noqa: B018
    with pytest.warns(UserWarning, match="'Broken'"), pytest.raises(AttributeError) as error:
        optim.Broken  # type: ignore[attr-defined]  # noqa: B018
    assert str(error.value.__cause__) == "no such wheel"
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        nn.Nothing  # type: ignore[attr-defined]  # noqa: B018


def test_ops_are_loaded_where_nothing_else_stands_for_a_function(installed: Path) -> None:
    assert "tapenet_softest.ops" not in sys.modules
    assert special._cospi(tn.tensor([1.0])).tolist() == [special._cospi(1.0)]


def test_of_two_packages_with_one_name_the_first_is_used(installed: Path) -> None:
    install(installed, "tapenet_another", "[tapenet.ops]\nsoftest = tapenet_another:nothing\n", {"__init__.py": ""})
    plugins.forget()
    with pytest.warns(
        UserWarning, match="both tapenet_.* and tapenet_.* bring 'softest' in tapenet.ops; the first is used"
    ):
        assert [p.name for p in plugins.plugins()].count("softest") == 1


def test_info_lists_them(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "plugin tapenet.ops softest: tapenet_softest.ops:softest of tapenet_softest 1.2 " in printed
    assert (
        "Broken: tapenet_softest.broken:Broken of tapenet_softest 1.2, left out: ImportError: no such wheel" in printed
    )
