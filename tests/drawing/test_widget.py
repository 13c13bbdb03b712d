"""Pictures as widgets of notebooks: what they say to Jupyter and marimo, and their page in a browser."""

from __future__ import annotations

import base64
import sys
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn
from tapenet.drawing import picture as module
from tapenet.drawing.picture import Picture
from tests.drawing.browser import missing

pytest.importorskip("anywidget", reason="needs anywidget: pip install -e '.[notebook]'")

WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def picture() -> Picture:
    net = nn.Sequential(nn.Linear(3, 5), nn.Sequential(nn.Tanh(), nn.Linear(5, 2)))
    made: Picture = tn.draw(net, np.ones((4, 3), np.float32))
    return made


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook's."""
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=1)))


@pytest.mark.usefixtures("kernel")
def test_a_notebook_gets_the_widget_and_the_still_picture(picture: Picture) -> None:
    bundle = picture._repr_mimebundle_()
    assert set(bundle) == {WIDGET, "image/svg+xml", "text/plain"}
    assert bundle["text/plain"] == repr(picture)
    assert bundle[WIDGET]["model_id"] == picture.widget.model_id == picture._repr_mimebundle_()[WIDGET]["model_id"]


def test_without_a_notebook_or_the_extra_it_is_still(picture: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(picture._repr_mimebundle_()) == {"image/svg+xml", "text/plain"}
    assert picture._display_() is picture.widget  # marimo
    monkeypatch.setattr(module, "_widgets", lambda: False)
    assert picture._display_()._mime_() == ("image/svg+xml", picture.svg)
    shell = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=1))
    monkeypatch.setitem(sys.modules, "IPython", shell)
    assert set(picture._repr_mimebundle_()) == {"image/svg+xml", "text/plain"}


def test_what_is_open_and_the_page_are_synchronized(picture: Picture) -> None:
    state = picture.widget.get_state()
    assert state["opened"] is None
    assert state["page"].startswith("<!DOCTYPE html>")
    assert "opened" in picture.widget.keys


def test_a_watch_repaints_the_widget(picture: Picture) -> None:
    with picture.watch() as watch:
        widget = picture.widget
        still = widget.page
        watch.update(loss=1.0)
        assert widget.page != still
        assert widget.numbers["curves"] == {"loss": [1.0]}
        assert set(widget.numbers["series"]) >= {"activation", "time"}


#: As notebooks run a widget: the module's default export gets a model and an element.
_HOST = """<!DOCTYPE html><meta charset="utf-8"><body><script>
const done = (state) => {{
  const listeners = {{}};
  const model = {{
    saved: 0, get: (name) => state[name], set(name, value) {{
      if (JSON.stringify(state[name]) === JSON.stringify(value)) return;
      state[name] = value;
      for (const listener of listeners[`change:${{name}}`] || []) listener();
    }},
    save_changes() {{ this.saved += 1; }},
    on: (name, listener) => (listeners[name] ??= []).push(listener),
    off: (name, listener) => {{ listeners[name] = listeners[name].filter((one) => one !== listener); }},
  }};
  window.model = model;
  window.listeners = listeners;
  import("data:text/javascript;base64,{module}").then(({{ default: widget }}) => {{
    window.end = widget.render({{ model, el: document.body }});
  }});
}};
</script>"""


def until(driver: Any, script: str) -> Any:
    """What a script gives as soon as that is something."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        found = driver.execute_script(script)
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(script)


@pytest.mark.skipif(bool(missing()), reason=missing() or "there is a browser")
def test_folding_is_kept_in_the_widget(driver: Any, picture: Picture, tmp_path: Any) -> None:
    watch = picture.watch()
    watch.update(loss=0.5)
    widget = picture.widget
    watch.update(loss=0.25)
    watch.stop()
    state = {name: widget.get_state()[name] for name in ("page", "opened", "numbers", "height")}
    host = tmp_path / "host.html"
    host.write_text(_HOST.format(module=base64.b64encode(widget._esm.encode()).decode()), encoding="utf-8")
    driver.get_log("browser")
    driver.get(host.as_uri())
    driver.execute_script("done(arguments[0])", state)
    until(driver, "return document.querySelector('iframe')")
    frame = driver.find_element("tag name", "iframe")
    assert frame.size["height"] == widget.height

    def boxes() -> int:
        driver.switch_to.frame(frame)
        until(driver, "return document.documentElement.dataset.ready")
        found = driver.execute_script("return document.querySelectorAll('#stage .box').length")
        driver.switch_to.default_content()
        return int(found)

    before = boxes()
    driver.switch_to.frame(frame)
    assert "2 steps" in until(driver, "return document.querySelector('#panel .chart') && document.body.textContent")
    driver.find_element("css selector", "#stage .head").click()
    driver.switch_to.default_content()
    opened = until(driver, "return model.saved && model.get('opened')")
    folded = boxes()
    assert folded < before
    # The page anew, as when the notebook is opened again.
    driver.execute_script("model.set('page', model.get('page') + ' ')")
    end = time.monotonic() + 20
    while boxes() != folded and time.monotonic() < end:
        time.sleep(0.05)
    assert boxes() == folded
    assert driver.execute_script("return model.get('opened')") == opened
    # The program opens all of it.
    driver.execute_script("model.set('opened', arguments[0])", list(range(len(picture.unfolded.clusters))))
    while boxes() == folded and time.monotonic() < end:
        time.sleep(0.05)
    assert boxes() > folded
    driver.execute_script("end()")
    assert driver.execute_script("return Object.values(listeners).flat().length") == 0
    assert driver.get_log("browser") == []
