"""CSV files as tables: whole, or in chunks for those that do not fit into memory. Every error names the line."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import re
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from itertools import islice
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from tapenet.data.columns import Columns, Options, Survey, check_options
from tapenet.data.frames import Column, Frame, Kind, to_days
from tapenet.data.tables import Table, learnt

#: Texts that mean a missing value.
NO_VALUES = ("", "NA", "N/A", "NaN", "nan", "None", "null", "NULL")
_CHUNK = 8192  # rows that are read at once


class CsvOptions(Options, total=False):
    """The options of `csv` and `csv_chunks`: those of `table`, and how the file is written."""

    names: Sequence[str] | None
    delimiter: str
    decimal: str
    encoding: str
    no_values: Collection[str]


def csv(path: str | os.PathLike[str], *, like: Table | Columns | None = None, **options: Unpack[CsvOptions]) -> Table:
    """A CSV file as a data set: chosen columns as numbers.

    The first line names the columns. A column is one of numbers if its first value is a number, and then all others must be;
    else it is one of categories. Blank lines are passed over, and spaces around values.

    Args:
        path: the file.
        like, features, target, categories, dates, missing, unknown, standardize, one_hot: as `table` takes them.
        names: the names of the columns, if the file has no line of them.
        delimiter: what is between values. Values may be quoted: `"Rome, Italy"`.
        decimal: the decimal point of numbers.
        encoding: how text is encoded; a mark of UTF-8 at the start is passed over.
        no_values: what stands for a missing value, by default nothing at all, NA, N/A, NaN, nan, None, null or NULL.

    With `like`, only `names`, `delimiter`, `decimal`, `encoding` and `no_values` may be given beside it.

    Raises FileNotFoundError if there is no such file, and ValueError, naming file, line and column, for what is wrong in it:
    lines with too few or too many values, what is no number among numbers, missing values, the names once more in the middle,
    damaged quotes, text in another encoding, an empty file.

    >>> with open("people.csv", "w") as file:
    ...     _ = file.write("age,city,rich\\n20,Rome,no\\n30,Oslo,yes\\n40,Rome,no\\n")
    >>> people = csv("people.csv", target="rich")
    >>> people.names, people.x.shape, people.y, people.classes
    (('age', 'city=Oslo', 'city=Rome'), (3, 3), array([0, 1, 0]), ('no', 'yes'))
    >>> with open("people.csv", "a") as file:
    ...     _ = file.write("fifty,Rome,yes\\n")
    >>> csv("people.csv", target="rich")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: people.csv, line 5, column 'age': 'fifty' is no number, as the other values are; ...
    """
    file = _File(path, options)
    if like is not None:
        columns = learnt(like, _of_table(options), file.who)
        frames = file.frames(*columns.wanted(file.names, file.who), known=True)
        return Table(_together(list(frames)), columns, file.who)
    survey = Survey(file.names, file.who, options)
    frame = _together(list(file.frames(survey.wanted(), survey.categories, survey.dates)))
    survey.add(frame)
    return Table(frame, survey.columns(), file.who)


class CsvChunks:
    """The rows of a CSV file in tables of a fixed number of rows, read during the loop; `csv_chunks` makes it."""

    def __init__(self, file: _File, columns: Columns, rows: int) -> None:
        self.columns = columns
        self._file, self._rows = file, rows

    def __iter__(self) -> Iterator[Table]:
        frames = self._file.frames(*self.columns.wanted(self._file.names, self._file.who), self._rows, known=True)
        return (Table(frame, self.columns, self._file.who) for frame in frames)

    def samples(self) -> Iterator[object]:
        """The rows one by one, for a loader: `DataLoader(chunks.samples, batch_size=64)`."""
        return (sample for table in self for sample in table)


def csv_chunks(
    path: str | os.PathLike[str],
    *,
    rows: int = 8192,
    like: Table | Columns | None = None,
    **options: Unpack[CsvOptions],
) -> CsvChunks:
    """A CSV file that does not fit into memory: tables of `rows` rows each (the last has what remains), to loop over again and
    again.

    Without `like` the file is read once beforehand, to learn its categories, means and deviations; `.columns` has them. All
    else is as in `csv`. Rows with missing values that are dropped make a chunk shorter.

    >>> with open("numbers.csv", "w") as file:
    ...     _ = file.write("a,b\\n1,2\\n3,4\\n5,6\\n")
    >>> chunks = csv_chunks("numbers.csv", rows=2, target="b", standardize=False)
    >>> [(table.x.tolist(), table.y.tolist()) for table in chunks]
    [([[1.0], [3.0]], [2.0, 4.0]), ([[5.0]], [6.0])]
    >>> from tapenet.data import DataLoader
    >>> [y.tolist() for x, y in DataLoader(chunks.samples, batch_size=3)]
    [[2.0, 4.0, 6.0]]
    """
    if rows < 1:
        raise ValueError(f"csv_chunks needs rows of at least 1, got {rows}")
    file = _File(path, options)
    if like is not None:
        return CsvChunks(file, learnt(like, _of_table(options), file.who), rows)
    survey = Survey(file.names, file.who, options)
    for frame in file.frames(survey.wanted(), survey.categories, survey.dates, rows):
        survey.add(frame)
    return CsvChunks(file, survey.columns(), rows)


def _of_table(options: CsvOptions) -> list[str]:
    return [name for name in options if name in Options.__annotations__]


def _together(frames: list[Frame]) -> Frame:
    """Chunks as one frame. Codes of categories mean the same in all of them."""
    last = frames[-1]
    if len(frames) == 1:
        return last
    starts = np.cumsum([0, *(frame.rows for frame in frames)])
    columns = {}
    for name, column in last.columns.items():
        # A chunk without any value was read before it was known what the column is.
        parts = [
            p if (p := frame.columns[name]).kind == column.kind else _nothing(frame.rows, column.kind)
            for frame in frames
        ]
        columns[name] = column._replace(values=np.concatenate([part.values for part in parts]))
    return Frame(columns, int(starts[-1]), functools.partial(_where_in, starts, [frame.where for frame in frames]))


def _where_in(
    starts: NDArray[np.int64], wheres: list[Callable[[Sequence[int]], list[str]]], rows: Sequence[int]
) -> list[str]:
    """What rows of several chunks are called, where each chunk starts with some row."""
    places = [int(np.searchsorted(starts, row, "right")) - 1 for row in rows]
    return [wheres[place]([row - int(starts[place])])[0] for place, row in zip(places, rows, strict=True)]


class _File:
    """A CSV file and how it is written."""

    def __init__(self, path: str | os.PathLike[str], options: CsvOptions) -> None:
        self.path = self.who = os.fspath(path)
        check_options(options, CsvOptions, "csv()")
        self._delimiter, self._decimal = options.get("delimiter", ","), options.get("decimal", ".")
        encoding = options.get("encoding", "utf-8")
        self._encoding = "utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding
        self._no_values = frozenset(options.get("no_values", NO_VALUES))
        self._header = options.get("names") is None
        self._first: list[str] = []
        self.names = list(options.get("names") or self._read_names())

    def _read_names(self) -> list[str]:
        with contextlib.closing(self._chunks(1, skip=False)) as chunks:
            self._first = next((rows[0] for rows, _ in chunks), [])
        if not self._first:
            raise ValueError(f"{self.path} is empty; a CSV file begins with a line of column names")
        names = [name.strip() for name in self._first]
        if len(names) == 1 and (mark := next((m for m in (";", "\t", "|", ",") if m in names[0]), None)):
            raise ValueError(
                f"{self.path}: the first line is one name, {names[0]!r}, with delimiter={self._delimiter!r}; give "
                f"delimiter={mark!r}"
            )
        if len(names) > 1 and all(_is_number(name) for name in names):
            raise ValueError(
                f"{self.path}: the first line holds numbers ({', '.join(names[:4])}{', ...' if len(names) > 4 else ''}), where "
                "the names of the columns are expected; if it has no line of names, give them: names=[...]"
            )
        for i, name in enumerate(names):
            if not name:
                raise ValueError(
                    f"{self.path}: column {i + 1} has no name in the first line; name it (pandas writes its row numbers so: "
                    "frame.to_csv(path, index=False) leaves them out)"
                )
            if name in names[:i]:
                raise ValueError(f"{self.path}: the first line names two columns {name!r}; rename one")
        return names

    def _chunks(self, size: int, skip: bool) -> Generator[tuple[list[list[str]], _Where], None, None]:
        """The rows in chunks of `size`, blank lines left out, and where they are. `skip` the line of names."""
        import csv as csv_format

        try:
            with open(self.path, encoding=self._encoding, newline="") as stream:
                reader = csv_format.reader(stream, delimiter=self._delimiter, strict=True)
                while True:
                    rows: list[list[str]] = []
                    start, there = reader.line_num, 0
                    try:
                        while there < (1 if skip else size) and (
                            more := list(islice(reader, 1 if skip else size - there))
                        ):
                            rows += more
                            there += len(more) if all(more) else sum(map(bool, more))
                    except csv_format.Error as error:
                        advice = 'check its quotes: a value with quotes in it is written "like ""this"""'
                        raise ValueError(f"{self.path}, line {reader.line_num}: {error}; {advice}") from None
                    if not there:
                        return
                    if not skip:
                        where = _Where(rows, start, reader.line_num)
                        yield (rows if there == len(rows) else [row for row in rows if row]), where
                    skip = False
        except FileNotFoundError:
            raise FileNotFoundError(f"{self.path}: no such file in {os.getcwd()}; check the path") from None
        except UnicodeError as error:
            raise self._undecodable(error) from None
        except LookupError:
            raise ValueError(
                f"{self.path}: there is no encoding {self._encoding!r}; try 'utf-8', 'cp1252' or 'utf-16'"
            ) from None

    def _undecodable(self, error: UnicodeError) -> ValueError:
        with open(self.path, "rb") as stream:
            start = stream.read(2)
            if start == b"\x1f\x8b":
                return ValueError(f"{self.path} is a gzip file; unpack it first")
            if start in (b"\xff\xfe", b"\xfe\xff"):
                return ValueError(f"{self.path} begins with the mark of UTF-16; give encoding='utf-16'")
            stream.seek(0)
            for number, line in enumerate(stream, 1):
                try:
                    line.decode(self._encoding)
                except UnicodeError as found:
                    shown = line.decode(self._encoding, "replace").strip()[:60]
                    encoding = self._encoding.removesuffix("-sig")
                    return ValueError(
                        f"{self.path}, line {number}: no text in {encoding} ({found}): {shown!r}; give the file's encoding, "
                        "often encoding='cp1252'"
                    )
        return ValueError(f"{self.path}: no text in {self._encoding} ({error}); give the file's encoding")

    def frames(
        self,
        wanted: Sequence[str],
        categories: Collection[str],
        dates: Mapping[str, str | None],
        size: int = _CHUNK,
        known: bool = False,
    ) -> Iterator[Frame]:
        """The columns `wanted` in chunks of `size` rows. Codes of categories mean the same in all of them. With
        `known` all columns but categories and dates are numbers."""
        at = {name: self.names.index(name) for name in wanted}
        for name in [*categories, *dates]:
            if name not in self.names:
                raise ValueError(f"{self.path}: there is no column {name!r}. There are: {', '.join(self.names)}")
        readers: dict[str, _Numbers | _Categories | _Dates | None] = dict.fromkeys(wanted)
        for name in wanted:
            if name in categories:
                readers[name] = _Categories(self._no_values, named=True)
            elif name in dates:
                readers[name] = _Dates(self._no_values, dates[name], self.path, name)
        seen = 0
        for rows, where in self._chunks(size, skip=self._header):
            self._check(rows, where)
            found, columns = {}, list(zip(*rows, strict=True))
            for name in wanted:
                values = columns[at[name]]
                try:
                    reader = readers[name] = readers[name] or self._reader(values, known)
                    found[name] = reader.read(values, where) if reader else _nothing(len(values))
                except _Odd as odd:
                    raise ValueError(f"{self.path}, {where.line(odd.row)}, column {name!r}: {odd.reason}") from None
            seen += len(rows)
            yield Frame(found, len(rows), where)
        if not seen:
            raise ValueError(
                f"{self.path} has a line of column names and no rows" if self._header else f"{self.path} is empty"
            )

    def _reader(self, values: Sequence[str], known: bool) -> _Numbers | _Categories | None:
        """A reader chosen by the first value that is not missing; None if all are missing."""
        if known:
            return _Numbers(self._no_values, self._decimal)
        stripped = [value.strip() for value in values]
        there = [value for value in stripped if value not in self._no_values]
        if not there:
            return None
        numbers = sum(_is_number(value.replace(self._decimal, ".")) for value in there)
        if _is_number(there[0].replace(self._decimal, ".")):
            return _Numbers(self._no_values, self._decimal)
        if 2 * numbers >= len(there):  # they would become categories without anybody having wished it
            raise _Odd(
                stripped.index(there[0]),
                f"{there[0]!r} is no number, but {numbers:,} of {len(there):,} values are; name it in "
                "no_values=[...] if it stands for a missing value, or the column in categories=[...]",
            )
        if 2 * sum("," in value and _is_number(value.replace(",", "")) for value in there) >= len(there):
            raise _Odd(
                stripped.index(there[0]),
                f"{there[0]!r} is no number with decimal={self._decimal!r}, but looks like one; give decimal=',' if its comma "
                "is that, take out marks between thousands, or name the column in categories=[...]",
            )
        return _Categories(self._no_values, named=False)

    def _check(self, rows: list[list[str]], where: _Where) -> None:
        """Raise ValueError if one row has more or fewer values than there are names, or is the names again."""
        width = len(self.names)
        if set(map(len, rows)) - {width}:
            row = next(i for i, values in enumerate(rows) if len(values) != width)
            raise ValueError(
                f"{self.path}, {where.line(row)}: {len(rows[row])} values, but {width} columns: {', '.join(self.names)}; it "
                f"begins {self._delimiter.join(rows[row])[:60]!r}. Correct it, or give the right delimiter= (it is "
                f"{self._delimiter!r})"
            )
        if self._header and self._first in rows:
            raise ValueError(
                f"{self.path}, {where.line(rows.index(self._first))}: the names of the columns once more, as where files were "
                "joined; remove it"
            )


class _Where:
    """The lines on which the rows of a chunk begin, given all its rows, blank ones too, and the line before it and its last."""

    def __init__(self, rows: list[list[str]], before: int, last: int) -> None:
        self._before = before
        # One line each, as nearly always; else the rows are kept to count.
        self._rows = None if len(rows) == last - before and all(rows) else rows

    def line(self, row: int) -> str:
        """What a row is called."""
        if self._rows is None:
            return f"line {self._before + row + 1}"
        line = self._before + 1
        for values in self._rows:
            if values:
                row -= 1
                if row < 0:
                    break
            line += 1 + sum(len(re.findall("\r\n|\r|\n", value)) for value in values)
        return f"line {line}"

    def __call__(self, rows: Sequence[int]) -> list[str]:
        return [self.line(row) for row in rows]


class _Odd(Exception):
    """A value that does not fit, in a row of a chunk."""

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(reason)
        self.row, self.reason = row, reason


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _nothing(rows: int, kind: Kind = "number") -> Column:
    """A column without any value."""
    return Column(kind, np.full(rows, -1) if kind == "category" else np.full(rows, math.nan))


class _Numbers:
    """Reads a column of numbers."""

    def __init__(self, no_values: Collection[str], decimal: str) -> None:
        self._no_values, self._decimal = no_values, decimal

    def read(self, values: Sequence[str], where: _Where) -> Column:
        if self._decimal != ".":
            values = [value.replace(self._decimal, ".") for value in values]
        try:
            if "_" not in "".join(values):  # 1_000 is a number to Python alone
                return Column("number", np.fromiter(map(float, values), np.float64, len(values)))
        except ValueError:
            pass
        numbers = np.full(len(values), math.nan)
        for row, value in enumerate(values):
            if _is_number(value):
                numbers[row] = float(value)
            elif value.strip() not in self._no_values:
                raise _Odd(
                    row,
                    f"{value.strip()!r} is no number, as the other values are; correct it, name it in "
                    "no_values=[...] if it stands for a missing value, or the column in categories=[...]",
                )
        return Column("number", numbers)


class _Categories:
    """Reads a column of categories."""

    def __init__(self, no_values: Collection[str], named: bool) -> None:
        self._codes: dict[str, int] = {}
        self._labels: dict[str, int] = {}
        self._no_values, self._named = no_values, named

    def read(self, values: Sequence[str], where: _Where) -> Column:
        codes, labels = self._codes, self._labels
        for value in dict.fromkeys(values):
            if value not in codes:
                label = value.strip()
                codes[value] = -1 if label in self._no_values else labels.setdefault(label, len(labels))
        found = np.fromiter(map(codes.__getitem__, values), np.int64, len(values))
        return Column("category", found, tuple(labels), named=self._named)


class _Dates:
    """Reads a column of dates."""

    def __init__(self, no_values: Collection[str], form: str | None, path: str, name: str) -> None:
        self._no_values, self._form, self._path, self._name = no_values, form, path, name

    def read(self, values: Sequence[str], where: _Where) -> Column:
        there = [None if value.strip() in self._no_values else value.strip() for value in values]
        return Column(
            "date", to_days(there, self._form, lambda row: f"{self._path}, {where.line(row)}, column {self._name!r}")
        )
