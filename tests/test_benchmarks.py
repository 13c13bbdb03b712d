"""The benchmark suites run, and take no notice of a candidate that does other work."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.benchmarks import rules
from tests.benchmarks.all import page as everything
from tests.benchmarks.all.plot import plot
from tests.benchmarks.compiled import workloads as compiled
from tests.benchmarks.elementwise.programs import Case
from tests.benchmarks.layers.workloads import WORKLOADS
from tests.benchmarks.loader import candidates
from tests.benchmarks.networks import workloads as networks
from tests.benchmarks.scaling import model
from tests.benchmarks.shapes import page as shapes
from tests.benchmarks.side_by_side import memory
from tests.benchmarks.side_by_side.measure import best, disagreements, gains, medians, ratio
from tests.benchmarks.side_by_side.report import machine
from tests.benchmarks.side_by_side.tasks import Bound

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", WORKLOADS)
def test_layers_do_the_same_work_in_each_library(name: str) -> None:
    """And three calls change what is compared by far more than candidates may differ."""
    pytest.importorskip("torch")
    from tests.benchmarks.layers import tapenet_side, torch_side

    task = WORKLOADS[name].task
    found = {}
    for side in (tapenet_side, torch_side):
        candidate = side.build(task, "eager")
        found[side.__name__] = [candidate.numbers(candidate.step()) for _ in range(3)]
    assert disagreements({side: calls[-1] for side, calls in found.items()}) == {}
    if hasattr(task, "lr"):
        assert all(abs(last[0] / first[0] - 1) > 2e-3 for first, _, last in found.values()), found


@pytest.mark.parametrize("name", networks.SMALL)
@pytest.mark.parametrize("peer", ["torch", pytest.param("jax", marks=pytest.mark.slow)])
def test_networks_do_the_same_work_in_each_library(name: str, peer: str) -> None:
    """And four steps change what is compared by far more than candidates may differ."""
    pytest.importorskip(peer)
    found = {}
    for side in ("tapenet", peer):
        made = importlib.import_module(f"tests.benchmarks.networks.{side}_side").build(networks.SMALL[name], "eager")
        found[side] = [made.numbers(made.step()) for _ in range(4)]
    assert disagreements({side: calls[-1] for side, calls in found.items()}) == {}
    assert all(abs(last[0] / first[0] - 1) > 2e-3 for first, *_, last in found.values()), found


@pytest.mark.slow
def test_all_measures_parts_and_makes_a_page_of_them(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.benchmarks.all", "--rounds", "1", "--seconds", "0.01", "--threads", "1"]
    command += ["--folder", str(tmp_path), "--candidates", "tapenet-eager", "numpy"]

    def run(*options: str) -> dict[str, Any]:
        """What the file has then, its suites."""
        done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
        assert (tmp_path / "benchmarks.md").exists(), done.stderr
        found = json.loads((tmp_path / "benchmarks.json").read_text(encoding="utf-8"))
        return {name: by["1"] for name, by in found["suites"].items()}

    first = run("--only", "compiled/xor")
    found = run("--missing", "--only", "compiled/xor", "layers/tutorial")
    assert found["compiled"] == first["compiled"]  # not measured again
    assert found["layers"]["tutorial"]["cpu"] == machine(1)["cpu"]
    assert {name: list(results) for name, results in found.items()} == {"compiled": ["xor"], "layers": ["tutorial"]}
    xor, layer = found["compiled"]["xor"], found["layers"]["tutorial"]
    assert xor["errors"] == layer["errors"] == {}
    assert all(0 < xor["limit"]["µs"] < t["median"] < 1e5 for t in xor["times"].values())
    if memory.measurable():  # the gradient of the large weight has 0.27 MB
        assert all(2.5e5 < size < 1e8 for size in layer["memory"].values())
    text = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    assert "| XOR 2-3-1 tanh, batch 4 |" in text
    assert text.count("| 28x28, conv 1, tanh, dense 100, tanh, 10; one image |") == (3 if memory.measurable() else 1)


@pytest.mark.parametrize("name", ["logistic", "black-scholes", "update"])
def test_loops_by_hand_do_the_same_work(name: str) -> None:
    pytest.importorskip("numba")
    small = {
        "logistic": compiled.Logistic(300, 5, 0.5),
        "black-scholes": compiled.BlackScholes(300),
        "update": compiled.Update(300),
    }
    _compare("compiled", small[name], ("numba", "numpy"))


@pytest.mark.parametrize("gradient", [False, True])
def test_long_programs_are_the_same_in_each_library(gradient: bool) -> None:
    pytest.importorskip("llvmlite")
    _compare("elementwise", Case(60, 128, "float32", "inner", gradient), () if gradient else ("numpy",))


def _compare(suite: str, task: Any, peers: tuple[str, ...]) -> None:
    """The numbers of peers beside those of tapenet, eager and compiled, after three calls."""
    found = {}
    for side, how in (*((peer, "") for peer in peers), ("tapenet", "eager"), ("tapenet", "native")):
        made = importlib.import_module(f"tests.benchmarks.{suite}.{side}_side").build(task, how)
        found[f"{side}-{how}"] = [made.numbers(made.step()) for _ in range(3)][-1]
    assert disagreements(found) == {}


def test_the_page_says_what_misses_and_what_threads_gain() -> None:
    def result(mine: float, peer: float) -> dict[str, Any]:
        times = {c: {"median": t} for c, t in (("tapenet-native", mine), ("torch-eager", peer))}
        asked = ratio(Bound("tapenet-native", ("torch-eager",), 0.8), {"tapenet-native": mine, "torch-eager": peer})
        return {"title": "GPT", "times": times, "errors": {"jax": "ValueError: no"}, "ratios": [asked]}

    where = {
        "cpu": "a",
        "cores": 2,
        "date": "2026-01-01",
        **dict.fromkeys(("numpy", "llvmlite", "torch", "jax", "python")),
    }
    gains = {"gains": {"tapenet-native": 1.25}}
    results = {"1": {"gpt": result(100.0, 200.0)}, "2": {"gpt": result(80.0, 90.0) | gains}}
    found = {"machine": {n: where | {"threads": int(n)} for n in results}, "suites": {"networks": results}}
    text = everything.page(found)
    assert "| GPT | - | 100 | 200 | - | - | 0.50 (0.8) |" in text.replace("100.0", "100").replace("200.0", "200")
    assert "| **0.89** (0.8) | 1.25 |" in text
    assert "- GPT (2 threads), time: tapenet-native 0.89 of torch-eager, at most 0.8" in text
    assert "- GPT (1 thread): jax failed: ValueError: no" in text
    drawn = ElementTree.fromstring(plot(found))
    assert sum(e.tag.endswith("circle") and len(e) == 1 for e in drawn.iter()) == 4
    # A row that was measured on another processor than the last says so.
    results["1"]["gpt"]["cpu"], results["2"]["gpt"]["cpu"] = "another", "a"
    text = everything.page(found)
    assert text.count("Measured on another: all of these.") == 1
    assert "Measured on a:" not in text


def test_the_page_counts_many_shapes_by_kind_and_lists_the_slow() -> None:
    def row(*mine: float) -> dict[str, Any]:
        peers = {"torch-eager": 90.0, "torch-eager/channels_last": 80.0, "jax": 100.0}
        return {"forward": {"tapenet-eager": mine[0]} | peers, "gradient": {"tapenet-eager": mine[1]} | peers}

    kinds = {
        "layer-norm": {"2 x 3": row(40.0, 40.0), "4 x 5": row(80.0, 160.0)},
        "convolution-1x1": {"VGG": row(80.0, 84.0)},
    }
    results = {
        name: {
            "title": f"{name}, many shapes",
            "times": {},
            "errors": {},
            "ratios": shapes.judged(times),
            "rows": times,
            "rounds": 5,
            "commit": "abc",
        }
        for name, times in kinds.items()
    }
    results["layer-norm"]["cpu"], results["convolution-1x1"]["cpu"] = "another", "a"
    results["layer-norm"]["rounds"] = 3
    where = {"cpu": "a", "cores": 2, "date": "2026-01-01", "python": "3", "threads": 1}
    found = {"machine": {"1": where}, "suites": {"shapes": {"1": results}}}
    text = everything.page(found)
    for line in (
        "| layer norm | forward | 2 | 100% | 0 | 1.00 | 0.71 |",
        "| layer norm | gradient | 2 | 50% | 1 | 2.00 | 1.00 |",
        "| convolution 1x1 | gradient | 1 | 0% | 0 | 1.05 | 1.05 |",
        "| all convolutions | all | 2 | 50% | 0 | 1.05 | 1.02 |",
        "| 2.00 | 4 x 5 | gradient | 160.0 | 80.0 (torch-eager/channels_last) |",
        "- layer-norm, many shapes (1 thread), time: tapenet-eager (the worst row) 2.00 of the best peer, at most 1.15",
        "Measured on another: layer-norm, many shapes.",
    ):
        assert line in text.splitlines(), text
    assert "commits of tapenet: 3 at abc for layer norm; 5 at abc for convolution 1x1." in " ".join(text.split())
    assert "was not measured" not in text
    assert text.count("2 x 3") == 0
    assert "circle" not in plot(found)


def test_a_gain_is_the_middle_one_of_pairs() -> None:
    """Not that of the middle times: the machine may have been faster while one of them was taken."""
    times = {"tapenet-native": [10.0, 40.0, 12.0], "tapenet-native alone": [15.0, 64.0, 24.0], "jax": [20.0]}
    assert gains(times) == {"tapenet-native": 1.6}


def test_the_page_is_made_of_its_figures() -> None:
    assert everything.PAGE.read_text(encoding="utf-8") == everything.page(_figures())


#: The rows of the README's table: suite and workload.
README = [
    ("compiled", "xor"),
    ("compiled", "dense-1"),
    ("compiled", "dense-64"),
    ("compiled", "large-256"),
    ("layers", "cnn-3-32-64-64"),
    ("networks", "resnet-18"),
    ("layers", "lstm"),
    ("networks", "gpt"),
]


def test_the_readme_has_the_figures_of_the_page() -> None:
    text, found = (ROOT / "README.md").read_text(encoding="utf-8"), _figures()
    suites = found["suites"]
    shown = re.findall(r"^\| [^|]+ \| (\d\.\d\d) \| (\d\.\d\d) \|$", text, flags=re.MULTILINE)
    for (suite, workload), (eager, native) in zip(README, shown, strict=True):
        times = medians(suites[suite]["1"][workload]["times"])
        mine, peer = (best((c,), times) for c in ("tapenet-eager", "torch-eager"))
        assert mine is not None
        assert peer is not None
        assert f"{times[mine] / times[peer]:.2f}" == eager, workload
        ratios = [q["ratio"] for q in suites[suite]["1"][workload]["ratios"] if q["of"].startswith("tapenet-native")]
        assert [f"{q:.2f}" for q in ratios] == [native], workload
        assert best(("torch-compiled",), times) is not None, workload
    sentences, model = " ".join(text.split()), found["machine"]["1"]["cpu"].rpartition(", ")[2]
    assert "PyTorch is measured eager and by torch.compile:" in sentences
    assert f"on one thread of an Intel Xeon ({model})" in sentences


def _figures() -> Any:
    return json.loads(everything.PAGE.with_suffix(".json").read_text(encoding="utf-8"))


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on fewer processors than workers
@pytest.mark.parametrize("work", ["arrays", "images", "records"])
def test_loaders_give_the_same_samples(work: str) -> None:
    pytest.importorskip("torch")
    found = {}
    for name, loader in candidates(work, 150).items():
        if "processes" not in name:
            batches = [batch.values() if isinstance(batch, dict) else batch for batch in loader]
            assert [len(part) for batch in batches for part in batch][-1] == 150 % 64
            found[name] = sum(
                float(np.asarray(part, np.float64).sum()) for batch in batches for part in list(batch)[:2]
            )
    assert len(found) > 2
    assert all(abs(total / found["tapenet"] - 1) < 1e-6 for total in found.values()), found


@pytest.mark.skipif(not memory.measurable(), reason="only Linux says it")
def test_the_peak_of_memory_is_what_was_held_at_once() -> None:
    """In a process of its own: in this one malloc may have the bytes already, from tests before."""
    program = """if True:
        import numpy as np

        from tests.benchmarks.side_by_side import memory

        before = memory.settled()
        for _ in range(2):
            large = np.ones(5_000_000)
            del large
        memory.forget_peak()
        for _ in range(3):
            held = np.ones(2_500_000)
            del held
        print(memory.peak() - before)
    """
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    assert 20e6 <= int(done.stdout) < 25e6


def test_who_does_other_work_is_named() -> None:
    found = disagreements({"a": [1.0, 2.0], "b": [1.0, 2.00001], "c": [1.0, 2.001]})
    assert list(found) == ["c"]
    assert "2.001" in found["c"]


def test_who_gives_nan_is_named() -> None:
    assert list(disagreements({"a": [1.0], "b": [1.0], "c": [float("nan")]})) == ["c"]


def test_a_ratio_is_taken_over_the_fastest_peer() -> None:
    times = {"mine": 4.0, "slow": 10.0, "fast": 6.0, "fast/other way": 5.0}
    found = ratio(Bound("mine", ("slow", "fast", "absent"), 0.9), times)
    assert found == {"of": "mine", "over": "fast/other way", "ratio": 0.8, "at most": 0.9, "met": True}
    assert ratio(Bound("mine", ("absent",), 0.9), times) is None


def test_stated_gradient_rules_are_measured_beside_derived_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rules, "SIZES", (1000,))
    monkeypatch.setattr(sys, "argv", ["rules", "roll", "maximum"])
    rules.main()
    _, *lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0].rpartition(".")[2] for line in lines] == ["maximum", "roll"]
    for line in lines:
        small, large, errors = line.split("|")
        assert all(float(n) > 0 for part in (small.split()[1:], large.split()) for n in part)
        assert all(float(e) < 1e-6 for e in errors.split())


def test_steps_of_a_compiled_function_are_counted() -> None:
    pytest.importorskip("llvmlite")
    import tapenet as tn
    import tapenet.nn.functional as F
    from tests.benchmarks.scaling.steps import of_compiled

    def counted(f: Any, *shapes: tuple[int, ...]) -> dict[str, Any]:
        compiled, arrays = tn.compile(f), [np.ones(shape, np.float32) for shape in shapes]
        for _ in range(2):
            compiled(*arrays)
        return {kind: counts for kind, *counts in of_compiled(compiled)}

    found = counted(lambda x, w: np.tanh(x @ w).sum(), (512, 64), (64, 256))
    size = 512 * 256
    assert found["product"][:2] == [64 * size, 4 * (512 * 64 + 64 * 256 + size)]
    assert found["kernel"][0] > size
    assert 4 * size <= found["kernel"][1] < 5 * size
    operations, moved, parts, *_ = counted(F.conv2d, (16, 32, 14, 14), (32, 32, 3, 3))["convolution"]
    assert operations == 16 * 32 * 12 * 12 * 32 * 9
    assert moved == 4 * (16 * 32 * (14 * 14 + 12 * 12) + 32 * 32 * 9)
    assert 1 < parts < operations / 500_000


def test_the_model_of_time_is_bound_by_what_it_should_and_is_fitted() -> None:
    here = model.Processor(1, 10.0, 10.0, 1e6, 1e7, (1e3, 10.0, 5.0), (20.0, 10.0), 0.0)
    c = dict.fromkeys(model.START, 1.0) | {"call": 30.0, "share": 0.01, "alone": 0.5}
    rows = {
        "compute": [["product", 1e6, 1000, 64, False, 1]],
        "memory": [["kernel", 1e3, 1e8, 64, False, 1]],
        "too few parts": [["product", 1e6, 1000, 2, False, 1]],
        "calls": [["layer", 10.0, 1000, 1, True, 5]],
    }
    many = here._replace(threads=8)
    gains = {}
    for bound, row in rows.items():
        steps = model.Steps(row)
        found = {b: t.sum() for b, t in model.times(steps, many, c).items()}
        assert max(found, key=found.__getitem__) == bound, found
        gains[bound] = model.total(steps, here, c) / model.total(steps, many, c)
    assert gains == pytest.approx({"compute": 8, "memory": 2, "too few parts": 2, "calls": 1}, rel=1e-3)
    pytest.importorskip("scipy")
    known = [
        model.Case(n, s := model.Steps(row), p, model.total(s, p, c)) for n, row in rows.items() for p in (here, many)
    ]
    fitted = model.fit(known)
    assert model.typical(model.total(k.steps, k.processor, fitted) / k.time for k in known) < 1.05
