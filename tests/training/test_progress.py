"""What `fit` shows."""

from __future__ import annotations

import io
import sys
import types
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import tapenet.nn.functional as F
from tapenet import optim, training
from tapenet.training import progress
from tests.training.small import X, Y, batches, made


def fitted(**options: Any) -> training.History:
    net = made()
    return training.fit(
        net, F.cross_entropy, optim.SGD(net, lr=0.1), options.pop("data", batches()), epochs=2, compile=False,
        metrics="accuracy", validation=(X, Y), **options,
    )  # fmt: skip


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_outside_of_terminals_there_is_a_line_per_epoch(verbose: int, capsys: pytest.CaptureFixture[str]) -> None:
    history = fitted(verbose=verbose)
    shown = capsys.readouterr()
    assert not shown.err
    if verbose == 0:
        assert not shown.out
        return
    lines = shown.out.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("epoch 2/2  ")
    assert "samples/s" in lines[1]
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert f"{name} {history[name][1]:.4g}" in lines[1]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("known", [True, False])
def test_in_a_terminal_there_is_a_bar(known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setattr(progress, "_EVERY", 0.0)  # at every batch
    history = fitted(verbose=1, data=batches() if known else _Unknown())
    text = terminal.getvalue()
    assert "epoch 1/2:" in text
    for count in range(1, 6):
        assert (f" {count}/5 [" if known else f" {count} batches [") in text
    assert "samples/s  loss " in text
    assert f"val_accuracy {history['val_accuracy'][1]:.4g}" in text


class _Unknown:
    def __iter__(self) -> Any:
        return iter(list(batches()))


def test_in_a_notebook_there_is_plain_html(monkeypatch: pytest.MonkeyPatch) -> None:
    pages: list[str] = []

    class Handle:
        def update(self, page: str) -> None:
            pages.append(page)

    def display(page: str, display_id: bool) -> Handle:
        pages.append(page)
        return Handle()

    shell = type("Shell", (), {"__module__": "ipykernel.zmqshell"})()
    modules = {"IPython": types.ModuleType("IPython"), "IPython.display": types.ModuleType("IPython.display")}
    modules["IPython"].get_ipython = lambda: shell  # type: ignore[attr-defined]
    modules["IPython.display"].display = display  # type: ignore[attr-defined]
    modules["IPython.display"].HTML = str  # type: ignore[attr-defined]
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(progress, "_EVERY", 0.0)
    fitted(verbose=1)
    for page in pages:
        ElementTree.fromstring(page)
    assert 'value="5" max="5"' in pages[-1]
    assert "epoch 2/2" in pages[-1]
    assert "val_accuracy" in pages[-1]


def test_verbose_is_one_of_three() -> None:
    with pytest.raises(ValueError, match="verbose=3"):
        fitted(verbose=3)


# -- the history --------------------------------------------------------------------------------------------------


def test_the_history_draws_itself(tmp_path: Any) -> None:
    history = fitted(verbose=0)
    text = history.plot(tmp_path / "curve.svg")
    assert (tmp_path / "curve.svg").read_text() == text == history._repr_html_()
    root = ElementTree.fromstring(text)
    words = [t.text for t in root.iter("{http://www.w3.org/2000/svg}text")]
    for word in ("loss", "val_loss", "accuracy", "val_accuracy", "epoch", "best val_loss"):
        assert word in words
    assert len(list(root.iter("{http://www.w3.org/2000/svg}polyline"))) == 4
    with pytest.raises(ValueError, match="backend='ascii'"):
        history.plot(backend="ascii")
    with pytest.raises(ValueError, match="no epoch"):
        training.History().plot()
    assert "0 epochs" in training.History()._repr_html_()


def test_matplotlib_draws_it_if_asked(tmp_path: Any) -> None:
    pytest.importorskip("matplotlib")
    history = fitted(verbose=0)
    figure = history.plot(tmp_path / "curve.png", backend="matplotlib")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    lines = {line.get_label(): line.get_ydata() for axes in figure.axes for line in axes.lines}
    np.testing.assert_array_equal(lines["val_accuracy"], history["val_accuracy"])


def test_the_history_by_name() -> None:
    history = training.History()
    with pytest.raises(KeyError, match="no epoch yet"):
        history["loss"]
    for loss in (2.0, float("nan"), 1.0, 3.0):
        history.append({"loss": loss}, 1.0)
    history.epochs[1]["late"] = 5.0
    assert history.best("loss") == 3
    assert history.best("loss", "max") == 4
    np.testing.assert_array_equal(history["late"], [np.nan, 5.0, np.nan, np.nan])
    with pytest.raises(KeyError, match="there is loss, late"):
        history["acc"]
