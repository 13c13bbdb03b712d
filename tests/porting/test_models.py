"""Nine model files as they are written for PyTorch, run by PyTorch and here: what is left to edit, and that the results agree.

In each file the imports are edited: `torch` becomes `tapenet`. What else has to be is in a table, line by line, and there are
methods of tensors alone. Losses, parameters and buffers after some steps of training agree then.
"""

from __future__ import annotations

import contextlib
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapenet as tn

torch = pytest.importorskip("torch")

MODELS = Path(__file__).parent / "models"
#: For each file what is edited besides imports: what a PyTorch tensor has as a method, and how it is written here.
EDITS: dict[str, list[tuple[str, str]]] = {
    "resnet": [
        ("(outputs.argmax(dim=1) == labels).float().mean()", "(outputs.argmax(dim=1) == labels).mean()"),
    ],
    "unet": [
        ("diff_y = x2.size()[2] - x1.size()[2]", "diff_y = x2.shape[2] - x1.shape[2]"),
        ("diff_x = x2.size()[3] - x1.size()[3]", "diff_x = x2.shape[3] - x1.shape[3]"),
        (".permute(0, 3, 1, 2).float()", ".transpose(0, 3, 1, 2)"),
        ("images = images.to(device=\"cpu\")", "pass"),
    ],
    "gpt": [
        ("B, T, C = x.size()", "B, T, C = x.shape"),
        ("self.c_attn(x).chunk(3, dim=-1)", "torch.chunk(self.c_attn(x), 3, dim=-1)"),
        ("k = k.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)",
         "k = k.reshape(B, T, self.n_head, C // self.n_head).swapaxes(1, 2)"),
        ("q = q.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)",
         "q = q.reshape(B, T, self.n_head, C // self.n_head).swapaxes(1, 2)"),
        ("v = v.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)",
         "v = v.reshape(B, T, self.n_head, C // self.n_head).swapaxes(1, 2)"),
        ("(q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))",
         "(q @ k.swapaxes(-2, -1)) * (1.0 / math.sqrt(k.shape[-1]))"),
        ("y.transpose(1, 2).contiguous().view(B, T, C)", "y.swapaxes(1, 2).reshape(B, T, C)"),
        ("F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)",
         "F.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1), ignore_index=-1)"),
    ],
    "vae": [
        ("self.encode(x.view(-1, self.size))", "self.encode(x.reshape(-1, self.size))"),
        ("x.view(-1, recon_x.shape[1])", "x.reshape(-1, recon_x.shape[1])"),
        ("mu.pow(2) - logvar.exp()", "mu**2 - torch.exp(logvar)"),
        ("data = data.to(\"cpu\")", "pass"),
        ("torch.randn(4, 3).to(\"cpu\")", "torch.randn(4, 3)"),
    ],
    "wgan_gp": [
        ("img.view(img.shape[0], *SHAPE)", "img.reshape(img.shape[0], *SHAPE)"),
        ("torch.rand(real_samples.size(0), 1, 1, 1", "torch.rand(real_samples.shape[0], 1, 1, 1"),
        ("gradients.view(gradients.size(0), -1)", "gradients.reshape(gradients.shape[0], -1)"),
        ("gradients.norm(2, dim=1)", "torch.linalg.norm(gradients, 2, dim=1)"),
    ],
    "seq2seq": [
        ("hidden.unsqueeze(1).repeat(1, src_len, 1)", "torch.tile(hidden[:, None], (1, src_len, 1))"),
        ("encoder_outputs = encoder_outputs.permute(1, 0, 2)", "encoder_outputs = encoder_outputs.transpose(1, 0, 2)"),
        ("attention.masked_fill(mask == 0, -1e10)", "torch.masked_fill(attention, mask == 0, -1e10)"),
        ("encoder_outputs.permute(1, 0, 2)).squeeze(1)", "encoder_outputs.transpose(1, 0, 2)).squeeze(1)"),
        ("(src != PAD).permute(1, 0)", "(src != PAD).transpose(1, 0)"),
        ("output[1:].view(-1, VOCAB)", "output[1:].reshape(-1, VOCAB)"),
    ],
    "ctc": [
        ("x = x.permute(0, 2, 1)", "x = x.transpose(0, 2, 1)"),
        ("batch = x.size(0)", "batch = x.shape[0]"),
        ("F.log_softmax(x, dim=2).permute(1, 0, 2)", "F.log_softmax(x, dim=2).transpose(1, 0, 2)"),
        ("torch.argmax(log_probs, dim=2).permute(1, 0)", "torch.argmax(log_probs, dim=2).transpose(1, 0)"),
        ("size=(x.size(0),), fill_value=log_probs.size(0)", "size=(x.shape[0],), fill_value=log_probs.shape[0]"),
    ],
    "gnn": [
        ("torch.bincount(dst, minlength=n).to(x.dtype)", "torch.bincount(dst, minlength=n).astype(x.dtype)"),
        ("out.index_add(0, dst, h[src] * norm.unsqueeze(1))", "torch.index_add(out, h[src] * norm[:, None], dst)"),
        ("sum(p.abs().sum() for p in model.parameters())", "sum(abs(p).sum() for p in model.parameters())"),
        ("model(x, edge_index).max(dim=1)[1]", "model(x, edge_index).argmax(dim=1)"),
        ("pred.eq(y).double().sum()", "(pred == y).sum()"),
    ],
    "ema": [
        ("ema_b.copy_(b)", "ema_b.data = b"),
    ],
}  # fmt: skip


def ported(name: str) -> str:
    """A model file with all its edits."""
    lines = []
    for line in (MODELS / f"{name}.py").read_text(encoding="utf-8").splitlines():
        if re.match(r"(import|from) torch\b", line):
            line = "import tapenet as torch" if line == "import torch" else line.replace("torch", "tapenet", 1)
        lines.append(line)
    text = "\n".join(lines)
    for old, new in EDITS[name]:
        assert text.count(old) == 1, (name, old)
        text = text.replace(old, new)
    return text


def module(name: str, text: str) -> Any:
    """A module of a text."""
    made = types.ModuleType(f"{name}_of_the_test")
    sys.modules[made.__name__] = made  # dataclasses look there
    exec(compile(text, name + ".py", "exec"), vars(made))
    return made


# -- data --------------------------------------------------------------------------------------------------------


def data(name: str, dtype: Any) -> list[tuple[Any, ...]]:
    """Some batches of arrays for a model."""
    r = np.random.default_rng(0)

    def floats(*shape: int) -> Any:
        return r.normal(size=shape).astype(dtype)

    if name == "resnet":
        return [(floats(4, 3, 8, 8), r.integers(0, 10, 4)) for _ in range(3)]
    if name == "unet":
        return [(floats(2, 1, 10, 8), r.integers(0, 3, (2, 10, 8))) for _ in range(3)]
    if name == "gpt":
        return [(r.integers(0, 11, (3, 8)), r.integers(-1, 11, (3, 8))) for _ in range(5)]
    if name == "vae":
        return [(r.uniform(size=(6, 20)).astype(dtype),) for _ in range(4)]
    if name == "wgan_gp":
        return [(floats(5, 1, 4, 4),) for _ in range(4)]
    if name == "seq2seq":
        lengths = np.array([5, 3, 4])
        batches = []
        for _ in range(3):
            src = r.integers(2, 9, (5, 3)) * (np.arange(5)[:, None] < lengths)
            batches.append((src, lengths, np.concatenate([np.ones((1, 3), int), r.integers(2, 9, (3, 3))])))
        return batches
    if name == "ctc":
        return [(floats(3, 6, 16), r.integers(1, 5, (3, 3)), np.array([3, 2, 1])) for _ in range(4)]
    if name == "gnn":
        edges = r.integers(0, 7, (2, 12))
        return [(floats(7, 5), edges, r.integers(0, 3, 7), np.arange(7) % 2 == 0) for _ in range(3)]
    return [(floats(4, 2, 4, 4), r.integers(0, 3, 4)) for _ in range(4)]


@contextlib.contextmanager
def same_noise(library: Any, tensor: Any) -> Iterator[None]:
    """Have a library draw NumPy's numbers from a generator that begins anew."""
    r = np.random.default_rng(1)
    usual = {name: getattr(library, name) for name in ("rand", "randn", "randn_like")}
    dtype = np.dtype(str(torch.get_default_dtype()).removeprefix("torch."))
    library.rand = lambda *size, **options: tensor(r.uniform(size=size).astype(dtype))
    library.randn = lambda *size, **options: tensor(r.normal(size=size).astype(dtype))
    library.randn_like = lambda x, **options: tensor(r.normal(size=tuple(x.shape)).astype(dtype))
    try:
        yield
    finally:
        for name, function in usual.items():
            setattr(library, name, function)


def close(ours: Any, theirs: Any, tolerance: float, where: str) -> None:
    """Two nested results agree: numbers to a tolerance, whole numbers exactly."""
    if isinstance(theirs, dict):
        assert ours.keys() == theirs.keys(), where
        for key, value in theirs.items():
            close(ours[key], value, tolerance, f"{where}.{key}")
    elif isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs), where
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            close(a, b, tolerance, f"{where}[{i}]")
    else:
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance, err_msg=where)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float64", 1e-9), pytest.param("float32", 2e-4, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("name", EDITS)
def test_a_model_file_of_torch_runs_and_trains_alike(name: str, dtype: str, tolerance: float) -> None:
    batches = data(name, dtype)
    usual = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        torch.manual_seed(0)
        theirs = module(name, (MODELS / f"{name}.py").read_text(encoding="utf-8"))
        model = theirs.build()
        weights = {key: value.numpy().copy() for key, value in model.state_dict().items()}
        with same_noise(torch, torch.tensor):
            expected = theirs.train(model, [tuple(map(torch.tensor, batch)) for batch in batches])
        ours = module(name, ported(name))
        mine = ours.build().to(dtype)
        assert list(mine.state_dict()) == list(weights)
        mine.load_state_dict(weights)
        with same_noise(tn, tn.tensor):
            found = ours.train(mine, [tuple(map(tn.tensor, batch)) for batch in batches])
    finally:
        torch.set_default_dtype(usual)
    close(found, expected, tolerance, name)
    if (
        dtype == "float64"
    ):  # in float32 Adam moves a bias before a normalisation, which has no gradient, by rounding alone
        close(mine.state_dict(), {k: v.numpy() for k, v in model.state_dict().items()}, tolerance, "state")
    moved = {k for k, v in mine.state_dict().items() if not np.array_equal(v, weights[k])}
    assert len(moved) > len(weights) // 2  # it has learned


def test_what_is_left_to_edit_are_methods_of_tensors() -> None:
    """Each edit takes away a method that PyTorch's tensors have and ours have not, or one that means another thing here."""
    other = {"max", "repeat", "size", "transpose"}  # these mean another thing here
    for name, edits in EDITS.items():
        for old, new in edits:
            called, after = (set(re.findall(r"(?<!torch)(?<!F)(?<!linalg)\.(\w+)\(", text)) for text in (old, new))
            gone = called - after
            methods = {n for n in gone if hasattr(torch.Tensor, n)}
            assert methods, (name, old)
            assert any(not hasattr(tn.Tensor, n) or n in other for n in methods), (name, old)
    assert sum(map(len, EDITS.values())) == 39
    assert len(list(MODELS.glob("*.py"))) == len(EDITS)
