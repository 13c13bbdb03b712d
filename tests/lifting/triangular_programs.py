"""Small programs made by chance, whose loops work on parts of arrays that grow or shrink from turn to turn."""

from __future__ import annotations

from random import Random

#: Parts of length i, and of length n - 1 - i, for 0 < i < n - 1.
PARTS = {
    "growing": (
        "a[:i]", "b[:i]", "M[i, :i]", "M[:i, i]", "M[-1, :i]", "a[n - i:]", "a[:i][::-1]", "np.flip(b[:i])", "M.T[i, :i]",
        "b[1:i + 1]", "a[i - 1::-1]", "M[n - i:, 0]", "M[:, i][:i]", "M[i][:i]", "M[i, i - 1::-1]", "a[:-1][:i]", "a[0:i:1]",
    ),
    "shrinking": (
        "a[i + 1:]", "b[i + 1:]", "M[i, i + 1:]", "M[i + 1:, i]", "np.flip(a[i + 1:])", "a[:n - 1 - i]", "b[i + 1:][::-1]",
        "b[:i:-1]", "M[0, i + 1:]", "M[i + 1:, 0]", "a[i:-1]", "a[i + 1:n]",
    ),
}  # fmt: skip
#: What is written, of the same lengths.
TARGETS = {
    "growing": ("a[:i]", "b[:i]", "M[i, :i]", "M[:i, i]", "M[:i, 0]", "a[n - i:]"),
    "shrinking": ("a[i + 1:]", "b[i + 1:]", "M[i, i + 1:]", "M[i + 1:, i]", "b[:n - 1 - i]"),
}
SQUARES = {"growing": "M[:i, :i]", "shrinking": "M[i + 1:, i + 1:]"}
CROSSED = {"growing": ("shrinking", "{v} @ M[i + 1:, :i]"), "shrinking": ("growing", "M[i + 1:, :i] @ {v}")}


class Programs:
    """Writes programs, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def function(self) -> str:
        """The text of a function `f(a, b, M)` of two vectors of length n and a matrix. It changes them, and returns copies."""
        loop = self._random.choice(["range(1, n - 1)", "range(1, n - 1)", "range(n - 2, 0, -1)"])
        lines = [self.statement() for _ in range(self._random.randint(1, 3))]
        head = "    n = a.shape[0]\n    for i in " + loop + ":\n"
        body = "".join(f"        {line}\n" for line in lines)
        return f"def f(a, b, M):\n{head}{body}    return a.copy(), b.copy(), M.copy()\n"

    def _pick(self, *texts: str) -> str:
        return self._random.choice(texts)

    def vector(self, kind: str, depth: int) -> str:
        """An expression of a vector."""
        if depth <= 0 or self._random.random() < 0.2:
            return self._pick(*PARTS[kind])
        v, w = self.vector(kind, depth - 1), self.vector(kind, depth - 1)
        number, axis = self.number(depth - 1), self._random.randint(0, 1)
        other, crossed = CROSSED[kind]
        return self._pick(
            f"({v} + {w})", f"({v} * {w})", f"({v} - {number})", f"({number} * {v})", f"np.sin({v})", f"-{v}", f"np.abs({v})",
            f"np.where({v} > {w}, {w}, 0.5)", f"np.minimum({v}, {w})", f"np.cumsum({v})", f"({v} / (1.5 + np.cos({w})))",
            f"np.flip({v})", f"({v} * i)", f"{v}[::-1]", f"({SQUARES[kind]} @ {v})", f"np.outer({v}, {w}).sum(axis={axis})",
            f"({SQUARES[kind]} * {v}).sum(axis={axis})", f"({SQUARES[kind]} + {v}[:, None]).max(axis={axis})",
            f"({crossed.format(v=self.vector(other, depth - 1))})", f"np.sort({v})", f"np.clip({v}, -0.4, 0.6)",
            "(M[:i] @ b)" if kind == "growing" else "(a @ M[:, i + 1:])",
        )  # fmt: skip

    def number(self, depth: int) -> str:
        """An expression of a number."""
        if depth <= 0 or self._random.random() < 0.3:
            return self._pick("a[i]", "M[i, i]", "0.5", "b[n - 1 - i]", "M[i, -1]", "b[i - 1]", "i")
        kind = self._pick("growing", "shrinking")
        v, w = self.vector(kind, depth - 1), self.vector(kind, depth - 1)
        return self._pick(
            f"np.sum({v})", f"({v} @ {w})", f"np.dot({v}, {w})", f"np.max({v})", f"{v}.mean()", f"np.prod({v})",
            f"np.linalg.norm({v} + 2.0)", f"np.std({v})", f"np.min({v})", f"np.vdot({v}, {w})", f"a[np.argmax({v})]",
            f"np.inner({v}, {w})", f"{v}[0]", f"{v}[-1]",
        )  # fmt: skip

    def statement(self) -> str:
        """An assignment to a part."""
        kind = self._pick("growing", "shrinking")
        target, v, w = self._pick(*TARGETS[kind]), self.vector(kind, 2), self.vector(kind, 1)
        return self._pick(
            f"{target} = 0.3 * {v}", f"{target} += 0.1 * {v}", f"{target} *= 1 + 0.1 * np.sin({v})", f"{target} = {w}",
            f"{target} = {self.number(1)}", f"b[i] = 0.3 * {self.number(2)}", f"M[i, i] = 0.2 * {self.number(2)}",
            f"{SQUARES[kind]} -= 0.05 * np.outer({v}, {w})", "M[:i] += 0.01 * a", "M[:, i + 1:] *= 0.9",
            f"t = {target}; t += 0.1 * {w}", "t = a[i - 1:i + 2]; t[1:] *= 0.5", "a[i - 1:i + 2] += 0.1 * b[i - 1:i + 2]",
            "M[i - 1:i + 1, i:i + 2] *= 0.5 * M[i:i + 2, i - 1:i + 1]", "a[i - 1:i + 2] = np.cos(M[i - 1:i + 2, i])",
            "M[i, i - 1:i + 2] += np.sum(M[i - 1:i + 2, i - 1:i + 2], axis=0)", "row = M[i]; row[:i] -= 0.1 * a[:i]",
        )  # fmt: skip
