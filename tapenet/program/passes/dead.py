"""Dead code: what nobody uses is not computed."""

from __future__ import annotations

from tapenet.program.ir import Program, Value


def run(program: Program) -> Program:
    """Drop instructions whose results lead to no output, write or effect, and writes of what is there already.

    Instructions with an effect stay, and those that may find another number of elements; and so do all values of the host:
    they count steps and draw random numbers.
    """
    writes = [w for w in program.writes if w.value is not w.target]
    live: set[Value] = {*program.outputs, *(w.value for w in writes)}
    body = []
    for instruction in reversed(program.body):
        if not live.isdisjoint(instruction.results) or instruction.must_run:
            body.append(instruction)
            live.update(instruction.args)
    if len(body) == len(program.body) and len(writes) == len(program.writes):
        return program
    return Program(program.inputs, program.hosts, reversed(body), program.outputs, writes)
