"""Programs as people read them."""

from __future__ import annotations

from collections.abc import Mapping

from tapenet.program.ir import Constant, Host, Input, Instruction, Program, Reference, Result, Value


def names(program: Program) -> dict[Value, str]:
    """A short name for every value: x0 for inputs, p0 for references, h0 for the host's, c0 for constants, %0."""
    found: dict[Value, str] = {}
    count: dict[str, int] = {}
    for value in program.values():
        letter = _LETTERS[type(value)]
        if isinstance(value, Constant) and value.size == 1:
            found[value] = f"{value.array.item()!r}"
            continue
        number = count.get(letter, 0)
        count[letter] = number + 1
        found[value] = f"{letter}{number}"
    return found


_LETTERS: dict[type, str] = {Input: "x", Reference: "p", Host: "h", Constant: "c", Result: "%"}


def text(program: Program) -> str:
    """A program as people read it, one instruction a line."""
    name = names(program)
    lines = [f"program({', '.join(f'{name[v]}: {v.spec}' for v in program.inputs)})"]
    for title, values in (
        ("from outside", program.references),
        ("from the host", program.hosts),
        ("constant", [c for c in program.constants if c.size != 1]),
    ):
        if values:
            lines.append(f"  {title}: " + ", ".join(f"{name[v]}: {v.spec}" for v in values))
    lines += [f"  {statement(instruction, name)}" for instruction in program.body]
    lines += [f"  write {name[w.target]} <- {name[w.value]}" for w in program.writes]
    lines.append("  return " + ", ".join(name[v] for v in program.outputs))
    return "\n".join(lines)


def statement(instruction: Instruction, name: Mapping[Value, str]) -> str:
    """An instruction as people read it, with names for its values."""
    results = ", ".join(name[r] for r in instruction.results)
    args = " ".join(name[a] for a in instruction.args)
    params = ", ".join(f"{k}={_short(v)}" for k, v in instruction.params.items() if v is not None and v is not False)
    specs = ", ".join(r.spec for r in instruction.results)
    return f"{results} = {instruction.name} {args}{f' {{{params}}}' if params else ''} : {specs}"


def _short(value: object) -> str:
    if isinstance(value, Program):
        return f"<program of {len(value.body)}>"
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."
