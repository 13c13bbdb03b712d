"""The same op in several steps."""

from __future__ import annotations

from tapenet.profiling.records import Record, Step

#: What is the same in every step: an op's name and its module.
_Key = tuple[str, str]


class History:
    """Finds the ops of one step in the others: the n-th of an op in a module is the n-th of that in each step. Where
    steps run the same ops in the same order, that is the one at the same place."""

    def __init__(self) -> None:
        self._steps: list[dict[_Key, list[Record]]] = []
        #: Where the op of each number is: the op and its module, and how many of these were before it.
        self._found: dict[int, tuple[_Key, int]] = {}

    def add(self, step: Step) -> None:
        """Take up the next step."""
        groups: dict[_Key, list[Record]] = {}
        for record in step.records:
            key = record.op, record.path
            group = groups.setdefault(key, [])
            if record.number is not None:
                self._found[record.number] = key, len(group)
            group.append(record)
        self._steps.append(groups)

    def of(self, number: int) -> list[Record | None]:
        """The record of an op in each step, None where it did not run."""
        if number not in self._found:
            return [None] * len(self._steps)
        key, nth = self._found[number]
        groups = [step.get(key, []) for step in self._steps]
        return [group[nth] if nth < len(group) else None for group in groups]
