"""How the columns of a table become the numbers that a model gets: learnt once, kept with the model."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray

from tapenet.data.frames import Column, Frame, Kind, check_names
from tapenet.typing import Array, StateDict

#: More values than that in a column of text are names or numbers of things, hardly categories.
MOST_CATEGORIES = 1000


class Options(TypedDict, total=False):
    """What `table`, `csv` and `csv_chunks` take to say how columns become numbers. `table` tells what each is."""

    features: Sequence[str] | None
    target: str | Sequence[str] | None
    categories: Iterable[str]
    dates: Iterable[str] | Mapping[str, str]
    missing: Literal["error", "drop", "fill"]
    unknown: Literal["error", "other"]
    standardize: bool
    one_hot: bool


def check_options(options: Mapping[str, object], allowed: type, who: str) -> None:
    """Raise TypeError for an option that a TypedDict does not have.

    >>> check_options({"traget": "y"}, Options, "table()")
    Traceback (most recent call last):
    TypeError: table() takes no traget=, did you mean target=? It takes features, target, categories, dates, missing, \
unknown, standardize, one_hot
    """
    names = list(allowed.__annotations__)
    for name in options:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            guess = f", did you mean {near[0]}=?" if near else "."
            raise TypeError(f"{who} takes no {name}={guess} It takes {', '.join(names)}")


class Feature(NamedTuple):
    """One column and how it becomes numbers.

    >>> Feature("city", "category", ("Oslo", "Rome"), other=True).names
    ('city=Oslo', 'city=Rome', 'city=other')
    """

    name: str
    kind: Kind
    categories: tuple[str | int, ...] = ()
    """Of a category: its values in the order of their codes."""
    other: bool = False
    """Whether one more code stands for what is not among the categories, or missing."""
    mean: float = 0.0
    std: float = 1.0
    """Of a number, a flag or a date: mean and standard deviation (over N) of the data that they were learnt from. 1 if all
    values are equal."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its columns in one-hot form, or just its own."""
        if self.kind != "category":
            return (self.name,)
        return tuple(f"{self.name}={value}" for value in (*self.categories, *(["other"] if self.other else [])))


class Columns:
    """How the columns of a table become numbers, as it was learnt from the training data. `table(...).columns` is one.

    Give it to `table` or `csv` as `like=` to read other data in the same way, and keep `state_dict()` with the model.

    >>> from tapenet.data import table
    >>> train = table({"age": [20, 40], "city": ["Rome", "Oslo"], "rich": ["no", "yes"]}, target="rich")
    >>> train.columns.names, train.columns.classes
    (('age', 'city=Oslo', 'city=Rome'), ('no', 'yes'))
    >>> columns = Columns.from_state_dict(train.columns.state_dict())
    >>> table({"age": [30, 50], "city": ["Oslo", "Oslo"]}, like=columns).x
    array([[0., 1., 0.],
           [2., 1., 0.]], dtype=float32)
    """

    def __init__(
        self,
        features: Sequence[Feature],
        targets: Sequence[Feature],
        dates: Mapping[str, str | None],
        missing: str,
        unknown: str,
        standardize: bool,
        one_hot: bool,
    ) -> None:
        self.features, self.targets = tuple(features), tuple(targets)
        self.dates, self.missing, self.unknown = dict(dates), missing, unknown
        self.standardize, self.one_hot = standardize, one_hot
        self._codes = {
            f.name: {str(value): code for code, value in enumerate(f.categories)} for f in (*features, *targets)
        }

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns of `x`."""
        return tuple(name for f in self.features if self.one_hot or f.kind != "category" for name in f.names)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many codes each column of `codes` has: the sizes of the embeddings. Empty in one-hot form."""
        return () if self.one_hot else tuple(len(f.names) for f in self.features if f.kind == "category")

    @property
    def classes(self) -> tuple[str | int, ...]:
        """What the codes in `y` stand for, where the target is a category; else empty."""
        return self.targets[0].categories if self.targets else ()

    def __repr__(self) -> str:
        shown = [f"{f.name}: {f.kind}" + (f" of {len(f.names)}" if f.kind == "category" else "") for f in self.features]
        targets = "".join(f" -> {f.name}: {f.kind}" for f in self.targets)
        return f"Columns({', '.join(shown)}{targets})"

    def wanted(self, there: Iterable[str], who: str) -> tuple[list[str], list[str], dict[str, str | None]]:
        """The columns to read of those that are there, which of them are categories, and which dates, with their form.

        The targets may be missing, as they are when one predicts.
        """
        have = list(there)
        check_names(who, [f.name for f in self.features], have)
        targets = [f for f in self.targets if f.name in have]
        if targets:
            check_names(who, [f.name for f in self.targets], have)
        used = [*self.features, *targets]
        dates = {f.name: self.dates.get(f.name) for f in used if f.kind == "date"}
        return [f.name for f in used], [f.name for f in used if f.kind == "category"], dates

    def encode(self, frame: Frame, who: str) -> tuple[NDArray[np.float32], NDArray[np.int64], Array | None]:
        """`x` (N, F) float32, `codes` (N, C) int64 and `y` (N,) or (N, T), None if there is no target."""
        targets = {f.name: column.as_category() for f in self.targets if (column := frame.columns.get(f.name))}
        frame = frame._replace(columns={**frame.columns, **targets})
        for f in (*self.features, *self.targets):
            if f.name in frame.columns:
                _check(frame.columns[f.name], f, frame, who)
        x = np.empty((frame.rows, len(self.names)), np.float32)
        codes = np.empty((frame.rows, len(self.sizes)), np.int64)
        at = code_at = 0
        for f in self.features:
            column = frame.columns[f.name]
            if f.kind != "category":
                x[:, at] = self._scaled(column, f, who)
                at += 1
                continue
            these = self._coded(column, f, frame, who)
            if self.one_hot:
                width = len(f.names)
                x[:, at : at + width] = these[:, np.newaxis] == np.arange(width)
                at += width
            else:
                codes[:, code_at] = these
                code_at += 1
        return x, codes, self._target(frame, who)

    def _target(self, frame: Frame, who: str) -> Array | None:
        if not self.targets or self.targets[0].name not in frame.columns:
            return None
        parts: list[Array] = []
        for f in self.targets:
            column = frame.columns[f.name]
            if f.kind == "category":
                parts.append(self._coded(column, f, frame, who))
            else:
                parts.append(_float32(column.values, f.name, who))
        return parts[0] if len(parts) == 1 else np.stack(parts, axis=1)

    def _scaled(self, column: Column, f: Feature, who: str) -> NDArray[np.float32]:
        values = column.values
        if column.missing.any():
            values = np.where(column.missing, f.mean, values)
        if self.standardize and f.kind != "flag":
            values = (values - f.mean) / f.std
        return _float32(values, f.name, who)

    def _coded(self, column: Column, f: Feature, frame: Frame, who: str) -> NDArray[np.int64]:
        other = len(f.categories) if f.other else -1
        unknown_code = other if self.unknown == "other" else -1
        table = np.array([*(self._codes[f.name].get(label, unknown_code) for label in column.labels), other], np.int64)
        codes: NDArray[np.int64] = table[column.values]  # -1, a missing value, is the last
        if (unknown := np.flatnonzero(codes < 0)).size:
            label = column.labels[column.values[unknown[0]]]
            known = ", ".join(map(repr, f.categories[:8])) + (", ..." if len(f.categories) > 8 else "")
            raise ValueError(
                f"{who}: column {f.name!r} holds {label!r}, which the training data had not, in {_rows(unknown, frame)}; "
                f"known are {known}. To give all such values one code of their own, read the training data with unknown='other'"
            )
        return codes

    def state_dict(self) -> StateDict:
        """All that was learnt, as numbers, strings and lists, to be saved with the model."""
        return {
            "features": [_state(f) for f in self.features],
            "targets": [_state(f) for f in self.targets],
            "dates": dict(self.dates),
            "missing": self.missing,
            "unknown": self.unknown,
            "standardize": self.standardize,
            "one_hot": self.one_hot,
        }

    @classmethod
    def from_state_dict(cls, state: StateDict) -> Columns:
        """The columns that `state_dict` gave the state of.

        Raises ValueError if it is none.
        """
        try:
            features, targets = ([_feature(f) for f in state[part]] for part in ("features", "targets"))
            rest = {name: state[name] for name in ("dates", "missing", "unknown", "standardize", "one_hot")}
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"Columns.from_state_dict needs what Columns.state_dict() gave; something is wrong with {error}"
            ) from None
        return cls(features, targets, **rest)


def _state(f: Feature) -> dict[str, object]:
    return {**f._asdict(), "categories": list(f.categories)}


def _feature(state: StateDict) -> Feature:
    return Feature(**{**state, "categories": tuple(state["categories"])})


def _float32(values: NDArray[np.float64], name: str, who: str) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        small = values.astype(np.float32)
    if not np.isfinite(small).all():
        raise ValueError(f"{who}: numbers in column {name!r} are too large for float32; scale it")
    return small


def _rows(rows: NDArray[np.int64], frame: Frame) -> str:
    """The first of some rows, as they are called, and how many there are."""
    shown = frame.where([int(row) for row in rows[:5]])
    return ", ".join(shown) + (f" and {len(rows) - 5:,} more" if len(rows) > 5 else "")


def used_rows(frame: Frame, missing: str) -> Frame:
    """The frame, without the rows that lack a value if these are to be dropped.

    >>> frame = Frame({"a": Column("number", np.array([1.0, np.nan]))}, 2, str)
    >>> used_rows(frame, "drop").rows, used_rows(frame, "fill").rows
    (1, 2)
    """
    if missing != "drop" or not frame.columns:
        return frame
    whole = ~np.logical_or.reduce([column.missing for column in frame.columns.values()])
    return frame if whole.all() else frame.take(whole)


def incomplete(name: str, gaps: NDArray[np.bool_], frame: Frame, missing: str, who: str) -> ValueError:
    """The error for a column that lacks values."""
    advice = "leave these rows out with missing='drop'"
    if missing == "error":
        advice += ", or put the mean in their place with missing='fill'"
    return ValueError(
        f"{who}: column {name!r} has no value in {int(gaps.sum()):,} of {frame.rows:,} rows: "
        f"{_rows(np.flatnonzero(gaps), frame)}; {advice}"
    )


def _check(column: Column, f: Feature, frame: Frame, who: str) -> None:
    """Raise ValueError if a column is of another kind than it was when it was learnt, or has infinite numbers."""
    if column.kind != f.kind and not {column.kind, f.kind} <= {"number", "flag"}:
        advice = (
            f"name it in {'categories' if f.kind == 'category' else 'dates'}=" if f.kind != "number" else "correct it"
        )
        raise ValueError(
            f"{who}: column {f.name!r} holds values of kind {column.kind!r}, the training data had {f.kind!r}; {advice}"
        )
    if column.kind != "category" and (infinite := np.flatnonzero(np.isinf(column.values))).size:
        raise ValueError(
            f"{who}: column {f.name!r} is infinite in {_rows(infinite, frame)}; correct or remove these rows"
        )


class Survey:
    """Learns columns from a table that comes whole or chunk by chunk: the result is the same to rounding."""

    def __init__(self, names: Sequence[str], who: str, options: Options) -> None:
        self.who, self._options = who, options
        targets = options.get("target")
        if not (targets is None or isinstance(targets, Iterable)):
            raise TypeError(f"{who} needs target as the name of a column, or a list of names, not {targets!r}")
        self.targets = [targets] if isinstance(targets, str) else list(targets or ())
        features = options.get("features")
        self.features = [n for n in names if n not in self.targets] if features is None else list(features)
        if isinstance(features, str):
            raise TypeError(
                f"{who} needs features as a list of names, got the string {features!r}; write [{features!r}]"
            )
        check_names(who, [*self.features, *self.targets], names)
        if both := set(self.features) & set(self.targets):
            raise ValueError(f"{who}: column {min(both)!r} is both a feature and a target; leave it out of one")
        if not self.features:
            raise ValueError(f"{who}: no column is left to be a feature; the table has {', '.join(names) or 'none'}")
        for name, allowed in (("missing", ("error", "drop", "fill")), ("unknown", ("error", "other"))):
            if (given := options.get(name, "error")) not in allowed:
                raise ValueError(f"{who} needs {name} as one of {', '.join(map(repr, allowed))}, got {given!r}")
        self.categories, self.dates = said(options, who)
        self._kinds: dict[str, Kind] = {}
        self._numbers: dict[str, _Moments] = {}
        self._labels: dict[str, dict[str, None]] = {}
        self._ordered: set[str] = set()

    def wanted(self) -> list[str]:
        """The columns to read."""
        return [*self.features, *self.targets]

    def add(self, frame: Frame) -> None:
        """Learn from some rows: of those that are used."""
        frame = used_rows(frame, self._options.get("missing", "error"))
        for name in self.wanted():
            column = frame.columns[name].as_category() if name in self.targets else frame.columns[name]
            if column.missing.all():
                continue
            kind = self._kinds.setdefault(name, column.kind)
            if kind != column.kind:
                raise ValueError(f"{self.who}: column {name!r} is first of kind {kind!r}, then {column.kind!r}")
            if column.kind == "category":
                seen = self._labels.setdefault(name, {})
                there = np.bincount(column.values[~column.missing], minlength=len(column.labels)) > 0
                seen.update(
                    (label, None) for label, used in zip(column.labels, there, strict=True) if used or column.ordered
                )
                self._ordered |= {name} if column.ordered else set()
                if len(seen) > MOST_CATEGORIES and not column.named:
                    raise ValueError(
                        f"{self.who}: column {name!r} holds text with more than {MOST_CATEGORIES:,} different values; choose "
                        f"other columns: features=[...], or name it in categories=[...] if they are categories"
                    )
            else:
                _check(column, Feature(name, kind), frame, self.who)
                self._numbers.setdefault(name, _Moments()).add(column.values[~column.missing])

    def columns(self) -> Columns:
        """What was learnt."""
        other = self._options.get("unknown") == "other" or self._options.get("missing") == "fill"
        targets = [self._feature(name, False) for name in self.targets]
        if len({f.kind == "category" for f in targets}) > 1 or (len(targets) > 1 and targets[0].kind == "category"):
            kinds = ", ".join(f"{f.name}: {f.kind}" for f in targets)
            raise ValueError(f"{self.who} needs one target that is a category or several numbers, got {kinds}")
        return Columns(
            [self._feature(name, other) for name in self.features],
            targets,
            self.dates,
            self._options.get("missing", "error"),
            self._options.get("unknown", "error"),
            self._options.get("standardize", True),
            self._options.get("one_hot", True),
        )

    def _feature(self, name: str, other: bool) -> Feature:
        if (kind := self._kinds.get(name)) is None:
            raise ValueError(f"{self.who}: column {name!r} has no value at all; leave it out: features=[...]")
        if kind == "category":
            labels = list(self._labels[name])
            return Feature(name, kind, tuple(labels if name in self._ordered else _in_order(labels)), other)
        moments = self._numbers[name]
        if not math.isfinite(moments.squares):
            raise ValueError(f"{self.who}: numbers in column {name!r} are too large to take their mean; scale it")
        return Feature(name, kind, mean=moments.mean, std=moments.std)


class _Moments:
    """Mean and standard deviation of numbers that come in parts (Chan, Golub and LeVeque, 1979)."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, 0.0, 0.0
        self.least, self.most = math.inf, -math.inf

    def add(self, values: NDArray[np.float64]) -> None:
        if not values.size:
            return
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(values.mean())
            squares = float(np.square(values - mean).sum())
            count, step = self.count + values.size, mean - self.mean
            self.squares += squares + float(np.square(np.float64(step))) * self.count * values.size / count
            self.mean += step * values.size / count
        self.count = count
        self.least, self.most = min(self.least, float(values.min())), max(self.most, float(values.max()))

    @property
    def std(self) -> float:
        # Equal numbers can have a mean that is rounded: what they differ from it by says nothing.
        return math.sqrt(self.squares / self.count) if self.least < self.most else 1.0


def said(options: Options, who: str) -> tuple[list[str], dict[str, str | None]]:
    """What the options name as categories, and as dates with their forms.

    >>> said({"categories": ["zip"], "dates": ["born"]}, "table()")
    (['zip'], {'born': None})
    """
    categories, dates = options.get("categories", ()), options.get("dates", ())
    for name, given in (("categories", categories), ("dates", dates)):
        if isinstance(given, str):
            raise TypeError(f"{who} needs {name} as a list of names, got the string {given!r}; write [{given!r}]")
    return list(categories), dict(dates) if isinstance(dates, Mapping) else dict.fromkeys(dates)


def _in_order(labels: list[str]) -> list[str | int]:
    """Labels sorted: as integers, and made ones, if all are; else as text."""
    try:
        numbers = [int(label) for label in labels]
    except ValueError:
        return [*sorted(labels)]
    # Text such as 007, which Python would not write so, is a name and not a number.
    return (
        [*sorted(numbers)]
        if all(str(n) == label for n, label in zip(numbers, labels, strict=True))
        else [*sorted(labels)]
    )
