"""A picture that is watched while training goes on: its server, its numbers, and its page in a browser."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim
from tapenet.drawing import watch as module
from tapenet.drawing.watch import Watch
from tests.drawing.browser import missing

X, Y = np.ones((4, 3), np.float32), np.array([0, 1, 0, 1])


class Training:
    """A small one, with a watch on its step."""

    def __init__(self) -> None:
        tn.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Sequential(nn.Linear(5, 2)))
        self.opt = optim.SGD(self.net.parameters(), lr=0.1, momentum=0.9)
        self.watch: Watch = tn.draw(self.step, X, Y, depth=1).watch()

    def step(self, x: Any, y: Any) -> Any:
        loss = F.cross_entropy(self.net(x), y)
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        return loss


@pytest.fixture
def training() -> Iterator[Training]:
    made = Training()
    with made.watch:
        yield made


def ask(watch: Watch, path: str = "", *, token: str | None = None, host: str | None = None) -> tuple[int, str]:
    """The status and the text of an answer."""
    url = urlsplit(watch.url)
    connection = http.client.HTTPConnection("127.0.0.1", url.port or 0, timeout=10)
    start = url.path if token is None else f"/{token}/"
    connection.request("GET", start + path, headers={} if host is None else {"Host": host})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def numbers(watch: Watch, after: int = -1) -> Any:
    status, text = ask(watch, f"numbers?after={after}")
    assert status == 200
    return json.loads(text)


def test_only_who_knows_the_token_gets_an_answer(training: Training) -> None:
    watch = training.watch
    port = urlsplit(watch.url).port
    assert ask(watch)[0] == 200
    assert ask(watch)[1].startswith("<!DOCTYPE html>")
    assert ask(watch, "other")[0] == 404
    for token in ("", "x" * 43, "%C3%A9", watch.url.split("/")[3][:-1]):
        assert ask(watch, "numbers", token=token) == (403, "")
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1:{port}.evil.example"):
        assert ask(watch, "numbers", host=host) == (403, "")
    assert ask(watch, "numbers", host=f"localhost:{port}")[0] == 200
    assert watch.url.startswith("http://127.0.0.1:")
    assert watch._server.server_address[0] == "127.0.0.1"
    with tn.draw(training.step, X, Y).watch() as other:
        assert other.url.split("/")[3] != watch.url.split("/")[3]


def test_a_page_that_is_looked_at_gets_numbers_and_one_that_is_not_gets_none(training: Training) -> None:
    watch = training.watch
    watch.update(loss=training.step(X, Y))
    assert len(watch._samples) == 1  # that of the beginning
    found = numbers(watch)
    assert (found["number"], found["step"], found["count"]) == (0, 0, 1)
    assert set(found["series"]) == {"time", "memory", "grad_norm", "activation"}
    watch.update(loss=training.step(X, Y), accuracy=np.float32(0.5))  # now somebody looks
    later = numbers(watch, found["number"])
    assert (later["number"], later["step"], later["count"]) == (1, 2, 2)
    assert later["series"]["grad_norm"] != found["series"]["grad_norm"]
    assert len(later["curves"]["loss"]) == 2
    assert later["curves"]["accuracy"] == [0.5]
    assert "series" not in numbers(watch, 1)
    for _ in range(5):  # not at every step
        watch.update(training.step(X, Y))
    assert len(watch._samples) == 2


def test_numbers_are_those_of_the_boxes(training: Training) -> None:
    vertices = tn.draw(training.step, X, Y, depth=1).unfolded.vertices
    found = numbers(training.watch)["series"]["grad_norm"]
    F.cross_entropy(training.net(X), Y).backward()
    norms = [np.linalg.norm(p.grad.numpy()) for p in training.net.parameters() if p.grad is not None]
    of_parameters = [x for i, x in found.items() if vertices[int(i)].kind == "parameter"]
    np.testing.assert_allclose(of_parameters, norms, rtol=1e-5)


def test_measuring_changes_nothing() -> None:
    plain, watched = Training(), Training()
    plain.watch.stop()
    watched.watch._looked = np.inf
    for _ in range(4):
        watched.watch._due = -np.inf
        a, b = plain.step(X, Y), watched.step(X, Y)
        watched.watch.update(b)
        assert a.item() == b.item()
    assert len(watched.watch._samples) == 5
    watched.watch.stop()


def test_a_page_is_served_while_another_thread_trains(training: Training) -> None:
    def train() -> None:
        for _ in range(20):
            training.watch._due = -np.inf
            training.watch.update(training.step(X, Y))

    thread = threading.Thread(target=train)
    numbers(training.watch)
    thread.start()
    while thread.is_alive():
        assert numbers(training.watch)["count"] <= 20
        assert ask(training.watch)[0] == 200
    thread.join()
    assert numbers(training.watch)["count"] == 20
    assert len(training.watch._samples) == 21


def test_nothing_is_measured_in_what_records(training: Training) -> None:
    watch = training.watch
    watch._looked = np.inf
    for block in (tn.no_grad(), tn.Tape(), tn.profile()):
        with block:
            watch.update()
    assert len(watch._samples) == 1
    watch.update()
    assert len(watch._samples) == 2


def test_numbers_are_bounded_and_span_the_training(training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POINTS", 8)
    monkeypatch.setattr(module, "SAMPLES", 4)
    watch = training.watch
    watch._looked = np.inf
    for i in range(100):
        watch.update(float(i))
        if i < 10:
            watch._due = -np.inf
    curve = numbers(watch)["curves"]["loss"]
    assert len(curve) <= 9
    assert (curve[0], curve[-1]) == (0, 99)
    assert len({b - a for a, b in pairwise(curve[:-1])}) == 1
    steps = [sample.step for sample in watch._samples]
    assert len(steps) <= 4
    assert (steps[0], steps[-1]) == (0, 11)


def test_what_is_not_finite_is_json(training: Training) -> None:
    training.watch.update(float("nan"))
    assert numbers(training.watch)["curves"]["loss"] == ["nan"]


def test_a_step_that_fails_or_changes_ends_measuring_not_training(monkeypatch: pytest.MonkeyPatch) -> None:
    width = [3]

    def net(x: Any) -> Any:
        if width[0] == 0:
            raise ZeroDivisionError("no width")
        return np.tanh(x).sum() if width[0] == 3 else x.sum()

    with tn.draw(net, X).watch() as watch:
        watch._looked = np.inf
        width[0] = 2
        watch.update()
        assert len(watch._samples) == 1
        width[0], watch._due = 0, -np.inf
        with pytest.warns(UserWarning, match="no width"):
            watch.update(1.0)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            watch.update(1.0)
        assert numbers(watch)["count"] == 3


def test_it_is_for_what_can_be_computed_again() -> None:
    x = tn.tensor([1.0], requires_grad=True)
    step = tn.compile(lambda x: x * 2)
    step(np.ones(3))
    for picture in (tn.draw(x * 2), tn.draw(step)):
        with pytest.raises(ValueError, match=r"tn\.draw\(step, x, y\)\.watch\(\)"):
            picture.watch()


def test_stop_ends_the_server(training: Training) -> None:
    watch = training.watch
    watch.stop()
    watch.stop()
    with pytest.raises(ConnectionRefusedError):
        ask(watch)
    watch.update(1.0)
    assert "stopped" in repr(watch)
    assert not [t for t in threading.enumerate() if t.name == "tapenet watch" and t.is_alive()]


def test_it_is_gone_with_the_program_and_readers_do_not_hold_it() -> None:
    code = (
        "import socket, tapenet as tn\n"
        "from urllib.parse import urlsplit\n"
        "watch = tn.draw(lambda x: x * 2, tn.tensor([1.0])).watch()\n"
        "held = socket.create_connection(('127.0.0.1', urlsplit(watch.url).port))\n"
        "print(watch.url)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stderr == ""
    with pytest.raises(ConnectionRefusedError):
        http.client.HTTPConnection("127.0.0.1", urlsplit(ran.stdout.strip()).port or 0, timeout=5).connect()


@pytest.mark.skipif(bool(missing()), reason=missing() or "there is a browser")
def test_the_page_repaints_and_keeps_what_is_folded(driver: Any, training: Training) -> None:
    watch = training.watch
    driver.get_log("browser")
    driver.get(watch.url)
    boxes = "return document.querySelectorAll('#stage .box').length"
    before = driver.execute_script(boxes)
    driver.find_element("css selector", "#stage .head").click()  # its title
    folded = driver.execute_script(boxes)
    assert folded < before
    steps = "return Number(document.getElementById('step').max)"
    end = time.monotonic() + 20
    while time.monotonic() < end and not driver.execute_script(steps):
        watch.update(training.step(X, Y))
        time.sleep(0.01)
    assert driver.execute_script(steps) >= 1
    assert driver.execute_script("return document.getElementById('step-label').textContent") != "step 0"
    assert (
        driver.execute_script("return document.querySelectorAll('#panel .chart').length") == 4
    )  # of the module, which is selected
    assert driver.execute_script(boxes) == folded
    assert driver.get_log("browser") == []
    driver.get("about:blank")
