"""Columns of a table, from pandas, Arrow or arrays: as numbers, or as codes of categories."""

from __future__ import annotations

import datetime
import difflib
import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tapenet.typing import Array

Kind = Literal["number", "flag", "date", "category"]

_DAY = 86_400_000_000  # microseconds


class Column(NamedTuple):
    """One column (N,) of a table."""

    kind: Kind
    values: Array
    """Numbers, flags (0 and 1) and dates (days since 1970-01-01, UTC) are float64, nan where there is none; categories are
    int64 codes, -1 where there is none."""
    labels: tuple[str, ...] = ()
    """What the codes stand for."""
    ordered: bool = False
    """Whether the labels stand in an order that somebody chose."""
    named: bool = True
    """Whether somebody said that it is a category, or its own type does."""

    def as_category(self) -> Column:
        """A flag as a category of False and True; any other column as it is."""
        if self.kind != "flag":
            return self
        codes = np.where(np.isnan(self.values), -1, self.values).astype(np.int64)
        return Column("category", codes, ("False", "True"), ordered=True)

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Where there is no value."""
        found: NDArray[np.bool_] = self.values < 0 if self.kind == "category" else np.isnan(self.values)
        return found

    def take(self, rows: Array) -> Column:
        """Some of its rows."""
        return self._replace(values=self.values[rows])


class Frame(NamedTuple):
    """Columns of one length by name, and what their rows are called in errors."""

    columns: dict[str, Column]
    rows: int
    where: Callable[[Sequence[int]], list[str]]

    def take(self, rows: Array) -> Frame:
        """Some of its rows."""
        numbers = np.arange(self.rows)[rows]
        columns = {name: column.take(rows) for name, column in self.columns.items()}
        return Frame(columns, len(numbers), functools.partial(_where_in, self.where, numbers))


def _where_in(
    where: Callable[[Sequence[int]], list[str]], numbers: NDArray[np.int64], rows: Sequence[int]
) -> list[str]:
    return where([int(numbers[row]) for row in rows])


def _numbered(rows: Sequence[int]) -> list[str]:
    return [f"row {row}" for row in rows]


def opened(data: Any, who: str) -> dict[str, object]:
    """The columns of a pandas DataFrame, an Arrow table (anything with `to_pandas()`) or a dict of arrays, by name.

    Raises TypeError if `data` is something else, and ValueError where a name is there twice or is no string.

    >>> opened({"age": [3, 5]}, "table()")
    {'age': [3, 5]}
    """
    if not isinstance(data, Mapping) and hasattr(data, "to_pandas"):
        data = data.to_pandas()
    if isinstance(data, Mapping):
        columns: dict[str, object] = dict(data)
    elif hasattr(data, "columns") and hasattr(data, "iloc"):
        names = list(data.columns)
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"{who}: there are {names.count(twice[0])} columns called {twice[0]!r}; rename them")
        columns = {name: data[name] for name in names}
    else:
        raise TypeError(
            f"{who} needs a pandas DataFrame, an Arrow table or a dict of arrays, got {type(data).__name__}; for a file "
            "use tapenet.data.csv(path), for arrays tapenet.data.ArrayDataset(x, y)"
        )
    if other := [name for name in columns if not isinstance(name, str)]:
        raise ValueError(f"{who}: column names must be strings, got {other[0]!r}; rename it: frame.columns = [...]")
    return columns


def read_columns(
    there: Mapping[str, object],
    who: str,
    wanted: Iterable[str],
    categories: Collection[str],
    dates: Mapping[str, str | None],
) -> Frame:
    """Some columns as numbers and codes.

    Raises ValueError, naming the column, where one is not there, or holds what is neither numbers, text, flags nor dates.

    >>> frame = read_columns({"age": [3, 5], "name": ["Eva", "Tom"]}, "table()", ["age", "name"], (), {})
    >>> frame.columns["age"].values, frame.columns["name"].labels, frame.rows
    (array([3., 5.]), ('Eva', 'Tom'), 2)
    """
    names = list(wanted)
    check_names(who, [*names, *categories, *dates], there)
    found = {name: _column(there[name], f"{who}: column {name!r}", name, categories, dates) for name in names}
    lengths = {name: len(column.values) for name, column in found.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{who}: the columns must be of one length, got {lengths}")
    rows = next(iter(lengths.values())) if lengths else 0
    return Frame(found, rows, _numbered)


def check_names(who: str, names: Iterable[str], there: Iterable[str]) -> None:
    """Raise ValueError unless all of the names are there.

    >>> check_names("table()", ["agee"], ["age", "name"])
    Traceback (most recent call last):
    ValueError: table(): there is no column 'agee', did you mean 'age'? There are: age, name
    """
    have = list(there)
    for name in names:
        if name not in have:
            near = difflib.get_close_matches(str(name), have, 1)
            guess = f", did you mean {near[0]!r}?" if near else "."
            raise ValueError(f"{who}: there is no column {name!r}{guess} There are: {', '.join(map(str, have))}")


def _column(given: Any, who: str, name: str, categories: Collection[str], dates: Mapping[str, str | None]) -> Column:
    """A column from a pandas Series or anything that NumPy makes an array of."""
    if isinstance(getattr(given, "dtype", None), np.dtype) or not hasattr(given, "isna"):
        try:
            array = np.asarray(given)
        except ValueError as error:  # lists of different lengths
            raise ValueError(f"{who} is no column of single values ({error}); make a column of each") from None
        if array.ndim != 1:
            raise ValueError(f"{who} must be of shape (N,), got {array.shape}; make a column of each")
        return _from_array(array, who, name, categories, dates)
    # pandas' own types, which know of missing values.
    if hasattr(given, "cat"):
        labels = [_label(value, who) for value in given.cat.categories.tolist()]
        return Column("category", given.cat.codes.to_numpy(np.int64), tuple(labels), ordered=True)
    if str(given.dtype).startswith("datetime64"):  # with a time zone
        return _from_array(given.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(), who, name, categories, dates)
    missing = given.isna().to_numpy()
    values = given.to_numpy(object)
    values[missing] = None
    return _from_array(values, who, name, categories, dates)


def _from_array(
    array: Array, who: str, name: str, categories: Collection[str], dates: Mapping[str, str | None]
) -> Column:
    if name in categories:
        return _labelled(array.tolist(), who, named=True)
    kind = array.dtype.kind
    if kind == "M":
        days = array.astype("M8[us]").astype(np.int64) / _DAY
        days[np.isnat(array)] = np.nan
        return Column("date", days)
    if name in dates:
        return Column("date", to_days(array.tolist(), dates[name], lambda row: f"{who}, row {row}"))
    if kind == "b":
        return Column("flag", array.astype(np.float64))
    if kind in "iuf":
        return Column("number", array.astype(np.float64))
    if kind in "UT":
        return _labelled(array.tolist(), who, named=False)
    if kind == "O":
        return _from_objects(array.tolist(), who)
    raise ValueError(f"{who} has dtype {array.dtype}; make numbers, text, flags or dates of it")


def _from_objects(values: list[object], who: str) -> Column:
    there = [value for value in values if not _is_none(value)]
    if all(isinstance(value, (bool, np.bool_)) for value in there) and there:
        return Column("flag", np.array([np.nan if _is_none(value) else value for value in values], np.float64))
    if all(isinstance(value, str) for value in there) and there:
        return _labelled(values, who, named=False)
    if all(isinstance(value, (datetime.date, np.datetime64)) for value in there) and there:
        return Column("date", to_days([None if _is_none(value) else value for value in values], None, str))
    try:
        return Column(
            "number", np.array([np.nan if _is_none(value) else _number(value) for value in values], np.float64)
        )
    except (TypeError, ValueError) as error:
        kinds = ", ".join(sorted({type(value).__name__ for value in there}))
        raise ValueError(
            f"{who} holds objects that are not all numbers: {kinds} ({error}); convert it, or name it in categories=[...]"
        ) from None


def _number(value: Any) -> float:
    if isinstance(value, (str, bytes)):
        raise TypeError(f"{value!r} is text")
    return float(value)


def _is_none(value: object) -> bool:
    """None, nan, and pandas' NaT and NA, which do not answer when asked whether they equal themselves."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, np.floating, np.datetime64)) and bool(value != value)


def _labelled(values: list[object], who: str, named: bool) -> Column:
    codes: dict[object, int] = {}
    labels: dict[str, int] = {}
    # Each different value is looked at once; 1 and True are equal, but in one column both do not mean different things.
    try:
        numbers = np.fromiter((codes.setdefault(value, len(codes)) for value in values), np.int64, len(values))
    except TypeError as error:  # a list or dict among them
        raise ValueError(f"{who} holds what is no category ({error}); make text or numbers of it") from None
    table = np.array(
        [-1 if _is_none(value) else labels.setdefault(_label(value, who), len(labels)) for value in codes], np.int64
    )
    return Column("category", table[numbers] if len(values) else numbers, tuple(labels), named=named)


def _label(value: object, who: str) -> str:
    """What a category is called; whole numbers are called the same whether they came as integers, floats or text."""
    if isinstance(value, (str, bool, int, np.bool_, np.integer)):
        return str(value)
    if isinstance(value, (float, np.floating)):
        return str(int(value)) if float(value).is_integer() else repr(float(value))
    raise ValueError(f"{who} holds a {type(value).__name__}, which is no category; make text of it")


def to_days(values: Sequence[object], form: str | None, where: Callable[[int], str]) -> NDArray[np.float64]:
    """Days since 1970-01-01 in UTC, of dates (or text in ISO 8601, or in a form of `strptime`); nan for None.

    Raises ValueError, naming the place, where text is no such date.

    >>> to_days(["1970-01-02", None, "1970-01-01T12:00:00+06:00"], None, str)
    array([1.  ,  nan, 0.25])
    >>> to_days(["31.12.1969"], "%d.%m.%Y", str)
    array([-1.])
    >>> to_days(["31.12.1969"], None, lambda row: f"row {row}")
    Traceback (most recent call last):
    ValueError: row 0: '31.12.1969' is no date in ISO 8601 (as 2024-12-31 or 2024-12-31T23:59:59); give its form: \
dates={column: '%d.%m.%Y'}
    """
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    days = np.full(len(values), np.nan)
    for row, value in enumerate(values):
        if value is None:
            continue
        try:
            if isinstance(value, np.datetime64):
                value = value.astype("M8[us]").item()
            if not isinstance(value, datetime.date):
                text = str(value)
                value = datetime.datetime.strptime(text, form) if form else datetime.datetime.fromisoformat(text)
        except ValueError:
            like = f"of the form {form!r}" if form else "in ISO 8601 (as 2024-12-31 or 2024-12-31T23:59:59)"
            advice = "correct it" if form else "give its form: dates={column: '%d.%m.%Y'}"
            raise ValueError(f"{where(row)}: {value!r} is no date {like}; {advice}") from None
        if not isinstance(value, datetime.datetime):
            value = datetime.datetime(value.year, value.month, value.day)
        if value.tzinfo is None:
            value = value.replace(tzinfo=datetime.UTC)
        days[row] = (value - epoch) / datetime.timedelta(days=1)
    return days
