"""Whole programs in the cache of code: found where all is as it was, and only there."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import kernels, nn, optim
from tapenet.llvm import blas, processor, sources, toolchain, workers
from tapenet.program.ir import Builder, Constant, Host, Input, Program, Reference, Value, Write
from tapenet.program.native import entry, kept, making
from tapenet.program.native.module import Module

ROOT = Path(tn.__file__).parent


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, in which small programs are kept too, of sources that may have been changed just now."""
    place = tmp_path / "cache"
    monkeypatch.setenv("TAPENET_CACHE", str(place))
    monkeypatch.setattr(kept, "LEAST", 1)
    monkeypatch.setattr(sources, "BEGUN", float("inf"))
    return place


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Program]:
    """Programs whose native form was planned."""
    found: list[Program] = []

    def noted(program: Program, **options: Any) -> Module:
        found.append(program)
        return Module(program, **options)

    monkeypatch.setattr(making, "Module", noted)
    return found


def _training() -> Callable[[np.ndarray, np.ndarray], tn.Tensor]:
    """A compiled step with parameters, state, a schedule's rate and a kernel of a layer."""
    tn.random.seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32, 5))
    opt = optim.Adam(net.parameters(), lr=0.01)
    schedule = optim.lr_scheduler.StepLR(opt, 2, 0.5)

    @tn.compile
    def step(x: np.ndarray, y: np.ndarray) -> tn.Tensor:
        loss = F.cross_entropy(net(x), y) + tn.asarray(np.arange(3.0, dtype=np.float32)).sum() * 0.1
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    def call(x: np.ndarray, y: np.ndarray) -> tn.Tensor:
        loss: tn.Tensor = step(x, y)
        schedule.step()
        return loss

    call.step = step  # type: ignore[attr-defined]
    return call


def _losses(count: int) -> list[float]:
    r = np.random.default_rng(0)
    x, y = r.normal(size=(6, 3, 4, 4)).astype(np.float32), r.integers(5, size=6)
    step = _training()
    return [step(x, y).item() for _ in range(count)]


def test_a_program_is_found_and_does_the_same(made: list[Program], cache: Path) -> None:
    first = _losses(5)
    assert len(made) == 1
    assert len(list(cache.glob("*.json"))) == 1
    assert _losses(5) == first
    assert len(made) == 1


_CHILD = """
from tests.program.native import test_kept as t
t.kept.LEAST, t.sources.BEGUN = 1, float("inf")
made = []
t.making.Module = lambda program, **options: made.append(program) or t.Module(program, **options)
print([g.tolist() for g in t._up(2)][1:], len(made))
"""


def test_another_process_finds_it(cache: Path) -> None:
    outputs = [
        subprocess.run(
            [sys.executable, "-c", _CHILD], capture_output=True, text=True, check=True, cwd=ROOT.parent
        ).stdout
        for _ in range(2)
    ]
    assert [o.split("] ")[1].strip() for o in outputs] == ["1", "0"]
    assert outputs[0].split("] ")[0] == outputs[1].split("] ")[0]


def _up(calls: int) -> list[np.ndarray]:
    """A loss and gradients where maps grow and the last convolution's gradient has its channels innermost, as in a U-Net."""
    r = np.random.default_rng(0)
    x, y = r.normal(size=(8, 16, 8, 8)).astype(np.float32), r.integers(10, size=8 * 256)
    tn.random.seed(0)
    net = nn.Sequential(nn.ConvTranspose2d(16, 16, 2, 2), nn.Conv2d(16, 10, 1))

    @tn.compile
    def step(x: np.ndarray, y: np.ndarray) -> Any:
        loss = F.cross_entropy(net(x).transpose(0, 2, 3, 1).reshape(-1, 10), y)
        return [loss, *tn.gradients(loss, [*net.parameters()])]

    return [g.numpy() for g in [step(x, y) for _ in range(calls)][-1]]


def test_a_u_net_calls_no_python(made: list[Program], cache: Path) -> None:
    with kernels.switched(False):
        expected = _up(1)
    made.clear()
    for _ in range(2):
        for found, wanted in zip(_up(2), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)
    assert len(made) == 1


def test_what_is_asked_of_it_is_made(made: list[Program]) -> None:
    """What `explain` says, and the lines where an index may have been out of bounds."""

    def f(x: np.ndarray, at: np.ndarray) -> tn.Tensor:
        return (tn.sin(tn.asarray(x)) * 2 + 1)[at]

    x, at = np.ones((4, 3)), np.array([0, 2])
    texts, results = [], []
    for _ in range(2):
        compiled = tn.compile(f)
        results += [compiled(x, at).numpy() for _ in range(2)]
        assert len(made) == 1
        with pytest.raises(IndexError, match=r"at .*test_kept\.py"):
            compiled(x, at + 7)
        texts.append(str(compiled.explain(full=True)))
    assert len(made) == 2
    assert texts[0] == texts[1]
    assert all(np.array_equal(results[0], other) for other in results)


_RAISING = """
import numpy as np, tapenet as tn
from tests.program.native import test_kept as t
t.kept.LEAST, t.sources.BEGUN = 1, float("inf")
made = []
t.making.Module = lambda program, **options: made.append(program) or t.Module(program, **options)
step = tn.compile(tn.grad(tn.cross_entropy))
factor = tn.compile(
    lambda a: tn.special.gammaln(np.sort(np.linalg.cholesky(a), axis=-1) @ np.linalg.eigvalsh(a)[..., None])
)
for at in (0, 1):
    step(np.eye(3), np.array([0, 1, at]))
    found = factor(np.stack([np.eye(3) + at, np.eye(3)])).numpy().tobytes().hex()
print(len(made), found)
try:
    step(np.eye(3), np.array([0, 1, 3]))
except IndexError:
    print("raised")
try:
    factor(np.stack([-np.eye(3), np.eye(3)]))
except np.linalg.LinAlgError as error:
    print(str(error).split()[3])
"""


def test_a_gradient_without_its_loss_is_found_and_raises_what_the_loss_would(cache: Path) -> None:
    """Each in a process of its own, which knows no error's address but those that it declares itself, nor NumPy's loops'."""
    first, second = [
        subprocess.run(
            [sys.executable, "-c", _RAISING], capture_output=True, text=True, check=True, cwd=ROOT.parent
        ).stdout.split()
        for _ in range(2)
    ]
    assert (first[0], second[0]) == ("2", "0")
    assert first[1] == second[1]
    assert first[2:] == second[2:] == ["raised", "positive"]


def test_calls_within_calls_and_of_other_strides(made: list[Program]) -> None:
    x = np.random.default_rng(0).normal(size=(40, 600))

    def run() -> list[np.ndarray]:
        compiled: Any = tn.compile(lambda x: (tn.sin(x) * tn.cos(x) + tn.tanh(x)).sum(axis=1))
        given = [x, x, np.repeat(x, 2, axis=1)[:, ::2]]
        found = [compiled(a).numpy() for a in given]
        return [*found, *compiled.variants[0].runner._within(x)]

    first = run()
    assert all(map(np.array_equal, run(), first))


@pytest.mark.parametrize("what", ["code", "entry", "cut off", "another's"])
def test_what_is_damaged_is_made_anew(what: str, made: list[Program], cache: Path) -> None:
    first = _losses(3)
    (entry_,) = cache.glob("*.json")
    if what == "code":
        for file in cache.glob("*.o"):
            file.unlink()
    elif what == "entry":
        data = bytearray(entry_.read_bytes())
        data[len(data) // 2] ^= 1
        entry_.write_bytes(data)
    elif what == "cut off":
        entry_.write_bytes(entry_.read_bytes()[:100])
    else:
        if sys.platform == "win32":
            pytest.skip("modes say nothing there")
        entry_.chmod(0o666)
    assert _losses(3) == first
    assert len(made) == 2


def test_what_this_process_alone_can_run_is_not_kept(cache: Path) -> None:
    """What calls Python."""
    compiled = tn.compile(lambda x: tn.asarray(x)[tn.asarray(x) > 0])
    for _ in range(2):
        compiled(np.ones((5, 4)))
    assert len(compiled.variants) == 1
    assert not list(cache.glob("*.json"))


# -- the key --------------------------------------------------------------------------------------------------------


class _Tensor:
    def __init__(self, data: np.ndarray) -> None:
        self._data = data


def _program(
    shape: tuple[int, ...] = (4, 3), dtype: Any = np.float32, order: Any = None, array: Any = None, axis: Any = 0,
    tensor: Any = None, host: Any = (), name: str = "add", swapped: bool = False, write: bool = True, twice: bool = False,
) -> Program:  # fmt: skip
    builder = Builder()
    x = Input(shape, np.dtype(dtype), order)
    r = Reference(_Tensor(np.ones(shape, dtype) if tensor is None else tensor))
    h = Host(host, np.dtype(dtype), lambda: 0.0)
    c = Constant(np.zeros(shape[-1:], dtype) if array is None else array)
    a = builder.emit(name, *((r, x) if swapped else (x, r)))
    b = builder.emit("multiply", builder.emit("add", a, h), c)
    s = builder.emit("reduce_add", b, axes=(axis,))
    outputs: list[Value] = [s, a] if twice else [s]
    return Program([x], [h], builder.body, outputs, [Write(r, b)] if write else [])


def _readonly(base: np.ndarray) -> np.ndarray:
    base.flags.writeable = False
    return base


_PROGRAMS: dict[str, Callable[[], Program]] = {
    "as it is": _program,
    "shape": lambda: _program((5, 3)),
    "dtype": lambda: _program(dtype=np.float64),
    "order of an argument": lambda: _program(order=(1, 0)),
    "strides of a tensor": lambda: _program(tensor=np.ones((3, 4), np.float32).T),
    "a constant's numbers": lambda: _program(array=np.full(3, 2, np.float32)),
    "sign of zero": lambda: _program(array=np.full(3, -0.0, np.float32)),
    "a constant that nobody can write": lambda: _program(array=_readonly(np.zeros(3, np.float32))),
    "a view that nobody can write": lambda: _program(array=_readonly(np.zeros(3, np.float32)[:])),
    "a constant's strides": lambda: _program(array=np.zeros(6, np.float32)[::2]),
    "a parameter": lambda: _program(shape=(4, 3), axis=1, array=np.zeros((1, 3), np.float32)),
    "shape of a number of the host's": lambda: _program(host=(3,)),
    "primitive": lambda: _program(name="subtract"),
    "arguments": lambda: _program(swapped=True),
    "writes": lambda: _program(write=False),
    "outputs": lambda: _program(twice=True),
}


def _text(program: Program) -> str:
    found = kept.key(program)
    assert found is not None
    return found.text


def test_each_part_of_a_program_is_in_its_key() -> None:
    texts = {name: _text(make()) for name, make in _PROGRAMS.items()}
    assert len(set(texts.values())) == len(texts)
    assert {name: _text(make()) for name, make in _PROGRAMS.items()} == texts


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True), (1, 1.0), (0.0, -0.0), ((1,), [1]), ("1", 1), (None, 0), (np.float32(1), 1.0), (np.int64(1), 1),
        (slice(1), slice(1, None)), (np.dtype("f4"), np.dtype(">f4")), ({"a": 1}, {"b": 1}), ((1, (2,)), ((1, 2),)),
        (IndexError, ValueError), (IndexError, "IndexError"),
        (np.zeros(2), np.zeros(2, np.float32)), (np.zeros(2), np.ones(2)), (F.conv2d, F.linear),
        (np.float32(977 / 97), np.nextafter(np.float32(977 / 97), np.float32(11))),
    ],
)  # fmt: skip
def test_parameters_differ(one: object, other: object) -> None:
    with np.printoptions(legacy="1.13"):
        told = [kept._Told()._param(value) for value in (one, other)]
    assert repr(told[0]) != repr(told[1])


def test_bodies_are_told_apart() -> None:
    """An instruction inside of a branch from one before it; one body that two have from two alike."""

    def body(count: int) -> Program:
        inner = Builder()
        value: Value = Constant(np.float32(1))
        for _ in range(count):
            value = inner.emit("sin", value)
        return Program([], [], inner.body, [value], [])

    def whole(before: int, inside: int, shared: bool) -> Program:
        builder = Builder()
        x = Input((), np.dtype(bool))
        for _ in range(before):
            builder.emit("sin", Constant(np.float32(1)))
        one = body(inside)
        out = builder.emit("branch", x, true=one, false=one if shared else body(inside))
        return Program([x], [], builder.body, [out], [])

    cases = [(0, 2, False), (1, 1, False), (2, 0, False), (0, 2, True), (1, 1, True)]
    assert len({_text(whole(*case)) for case in cases}) == len(cases)


def test_what_no_key_tells_is_not_kept() -> None:
    builder = Builder()
    x = Input((2,), np.dtype(np.float32))
    y = builder.emit("add", x, x)
    for strange in (object(), lambda: 0, np.zeros(1, object), _Tensor):
        builder.body[-1].params = {"strange": strange}
        assert kept.key(Program([x], [], builder.body, [y], [])) is None


_target = toolchain.target


def _another_target() -> toolchain.Target:
    return _target()._replace(key="another")


#: What changes each entry of what is around a program.
_CHANGES: dict[str, Callable[[pytest.MonkeyPatch], object]] = {
    "sources": lambda m: m.setattr(kept, "sources", lambda: "another"),
    "python": lambda m: m.setattr(sys, "version", "3.99"),
    "code": lambda m: m.setattr(toolchain, "target", _another_target),
    "processor": lambda m: m.setattr(
        kept, "processor", lambda: processor.Processor("x86-64-v2", "", processor.LEVELS["x86-64-v2"][0])
    ),
    "processors": lambda m: m.setattr(kept, "processors", lambda: 77),
    "threads": lambda m: m.setattr(workers, "_number", 7),
    "pool": lambda m: m.setattr(workers, "able", lambda: None),
    "blocks": lambda m: m.setattr(workers, "_even", not workers._even),
    "kernels": lambda m: m.setattr(kernels, "_on", not kernels._on),
    "arrays": lambda m: m.setattr(entry, "usable", lambda: None),
    "blas": lambda m: m.setattr(blas, "find", lambda: blas.Blas({}, "i16")),
    "numpy": lambda m: m.setattr(kept, "_features", lambda: ["another"]),
    "environment": lambda m: m.setenv("OPENBLAS_CORETYPE", "none"),
}


def test_all_around_a_program_is_in_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(_CHANGES) == set(kept._around())
    before = _text(_program())
    for name, change in _CHANGES.items():
        with monkeypatch.context() as patched:
            change(patched)
            assert _text(_program()) != before, name
    assert _text(_program()) == before


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_sources_that_cannot_be_looked_at_have_no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As the link that an editor lays beside a file that is being changed, which leads nowhere."""
    (tmp_path / ".#module.py").symlink_to("someone@somewhere")
    monkeypatch.setattr(sources, "__file__", str(tmp_path / "llvm" / "sources.py"))
    sources.sources.cache_clear()
    try:
        assert kept.key(_program()) is None
    finally:
        sources.sources.cache_clear()


def test_sources_that_were_changed_since_they_were_read_have_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kept.key(_program()) is not None
    sources.sources.cache_clear()
    monkeypatch.setattr(sources, "BEGUN", 0.0)
    try:
        assert kept.key(_program()) is None
    finally:
        sources.sources.cache_clear()


#: What the code that makes programs reads of its surroundings, by module; with the entry of the key that says it, or why none
#: has to.
_READERS = {
    "kernels": {
        "_on": "kernels", "os.environ": "", "TAPENET_KERNELS": "kernels", "_available": "code", "_blas": "blas",
        "keep_memory": "memory of results", "CDLL": "memory of results", "sys.platform": "memory of results",
    },
    "llvm.blas": {"find": "blas", "_library": "blas", "CDLL": "blas", "_limit": "when it runs"},
    "llvm.processor": {
        "processor": "processor", "dots": "processor", "os.environ": "", "TAPENET_CPU": "processor",
        "OMP_NUM_THREADS": "processors", "cpu_count": "processors", "sched_getaffinity": "processors",
    },
    "llvm.sources": {"sources": "sources", "find_spec": "sources"},
    "llvm.tasks": {"_forks": "when code is made", "_threads": "when code is made"},
    "llvm.toolchain": {
        "target": "code", "available": "whether there is any", "find_spec": "whether there is any", "os.environ": "",
        "TAPENET_CPU": "processor", "TAPENET_CACHE": "where the cache is", "XDG_CACHE_HOME": "where the cache is",
        "LOCALAPPDATA": "where the cache is", "sys.platform": "where the cache is",
    },
    "llvm.ufuncs": {"table": "sources: NumPy's"},
    "llvm.pool_code": {"platform.machine": "the pool's own code"},
    "llvm.workers": {
        "_number": "threads", "_even": "blocks", "_pool": "pool", "able": "pool", "CDLL": "pool",
    },
    "program.native.draws": {"_addresses": "not kept", "CDLL": "not kept"},
    "program.native.entry": {
        "usable": "arrays", "sys.version_info": "python", "sysconfig.get_config_var": "arrays",
    },
    "program.native.scratch": {
        "_huge": "memory when it runs", "os.environ": "", "NUMPY_MADVISE_HUGEPAGE": "memory when it runs",
    },
}  # fmt: skip
_ATTRIBUTES = {"CDLL", "cpu_count", "find_spec", "getenv", "sched_getaffinity"}
_DOTTED = {"os.environ", "sys.flags", "sys.platform", "sys.version_info"}


def _read(file: Path) -> Iterator[str]:
    """By what code depends on more than it is given: variables, and functions that remember what they found out."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Global):
            yield from node.names
        elif isinstance(node, ast.Attribute):
            text = ast.unparse(node)
            if text in _DOTTED or text.rpartition(".")[0] in ("platform", "sysconfig"):
                yield text
            elif node.attr in _ATTRIBUTES:
                yield node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "os.environ.get":
            yield ast.literal_eval(node.args[0])
        elif isinstance(node, ast.FunctionDef) and not ast.unparse(node.args):
            yield from (node.name for decorator in node.decorator_list if "cache" in ast.unparse(decorator))


def test_all_that_makes_programs_reads_is_known() -> None:
    """A new variable, probe or setting has to be in the key, or to change nothing in a program."""
    found: dict[str, set[str]] = {}
    for package in ("program", "llvm", "kernels"):
        for file in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            if name != "program.native.kept" and (names := {*_read(file)}):
                found[name] = names
    assert found == {name: {*names} for name, names in _READERS.items()}
