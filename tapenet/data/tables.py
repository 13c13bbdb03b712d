"""A table as a data set: chosen columns as numbers."""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tapenet.data.columns import Columns, Options, Survey, check_options, incomplete, used_rows
from tapenet.data.dataset import Dataset
from tapenet.data.frames import Frame, opened, read_columns
from tapenet.typing import Array

#: The number of a row, or several.
Rows = int | slice | NDArray[np.int64]
#: `x`, `codes`, or both.
Inputs = Array | tuple[Array, Array]


class Table(Dataset[Any]):
    """Rows of a table as samples: `table` and `csv` make one. Its arrays are ready for `fit`, a loader or a model.

    `x` float32 (N, F) are the features as numbers; `names` says what its columns are. `y` is the target: float32 (N,) for
    numbers, int64 (N,) for categories (`classes` says which), float32 (N, T) for several, None if there is none. `codes` int64
    (N, C) are the categories as integers where `one_hot=False` asked for them, for `nn.Embedding`; then `inputs`, what a model
    gets, is `(x, codes)`. `columns` is what was learnt: read other data with `like=` it, and keep it with the model.
    """

    def __init__(self, frame: Frame, columns: Columns, who: str) -> None:
        frame = used_rows(frame, columns.missing)
        targets = {f.name for f in columns.targets}
        for name, column in frame.columns.items():
            if (columns.missing == "error" or name in targets) and (gaps := column.missing).any():
                raise incomplete(name, gaps, frame, columns.missing, who)
        self.columns = columns
        self._frame, self._who = frame, who
        self.x, self.codes, self.y = columns.encode(frame, who)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns of `x`: of a category in one-hot form, `city=Rome`."""
        return self.columns.names

    @property
    def classes(self) -> tuple[str | int, ...]:
        """What the numbers in `y` stand for, where the target is a category."""
        return self.columns.classes

    @property
    def inputs(self) -> Inputs:
        """What a model gets: `x`, `codes`, or both as a tuple, whichever are there."""
        return self._inputs(slice(None))

    def _inputs(self, rows: Rows) -> Inputs:
        if not self.codes.shape[1]:
            return self.x[rows]
        return (self.x[rows], self.codes[rows]) if self.x.shape[1] else self.codes[rows]

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: Rows, /) -> Any:
        """The sample of that number, `(inputs, target)`, or `inputs` alone if there is no target."""
        return self._inputs(index) if self.y is None else (self._inputs(index), self.y[index])

    def take(self, indices: NDArray[np.int64]) -> Any:
        """The samples of these numbers as one batch."""
        return self[indices]

    def __repr__(self) -> str:
        return f"Table({len(self):,} rows, {self.columns})"

    def split(self, test: float | ArrayLike = 0.2, seed: int | None = 0) -> tuple[Table, Table]:
        """A part to train on and a part to test with, with means and deviations learnt from the first part alone.

        `test` is the share of rows drawn at random for the second part, or the numbers of its rows, as `kfold` gives them. The
        categories are those of the whole table.

        Raises ValueError if a part is empty or `test` is one number that is no share, and IndexError if there is no such row.

        >>> whole = table({"a": [1.0, 2.0, 3.0, 9.0]})
        >>> train, test = whole.split(test=[3])
        >>> train.x.mean(), train.x.std(), test.x
        (np.float32(0.0), np.float32(1.0), array([[8.573215]], dtype=float32))
        """
        if np.ndim(test) == 0:
            share = float(test)  # type: ignore[arg-type]
            if not 0 < share < 1:
                raise ValueError(
                    f"split needs test as a share between 0 and 1, or as the numbers of the rows, got {test!r}; for 30 rows "
                    "drawn at random write test=30 / len(table)"
                )
            order = np.random.default_rng(seed).permutation(len(self))
            chosen = np.sort(order[: round(share * len(self))])
        else:
            chosen = np.asarray(test) if np.size(test) else np.empty(0, np.int64)
        is_test = np.zeros(len(self), bool)
        is_test[chosen] = True
        if is_test.all() or not is_test.any():
            raise ValueError(
                f"split needs rows for both parts, got {is_test.sum():,} of {len(self):,} to test with; give another share or "
                "other rows"
            )
        train = self._frame.take(~is_test)
        columns = learnt_again(self.columns, train, self._who)
        return Table(train, columns, self._who), Table(self._frame.take(is_test), columns, self._who)


def learnt_again(columns: Columns, frame: Frame, who: str) -> Columns:
    """The same columns with means and deviations of these rows."""
    survey = Survey(list(frame.columns), who, {"features": [f.name for f in columns.features]})
    survey.add(frame)
    new = {f.name: f for f in survey.columns().features}
    again = copy.copy(columns)
    again.features = tuple(
        f if f.kind == "category" else f._replace(mean=new[f.name].mean, std=new[f.name].std) for f in columns.features
    )
    return again


def table(frame: object, *, like: Table | Columns | None = None, **options: Unpack[Options]) -> Table:
    """A pandas DataFrame, an Arrow table (anything with `to_pandas()`) or a dict of columns as a data set.

    Args:
        frame: the table, N rows.
        like: a table, or its `columns`, whose way of making numbers is used: the test data is read like the training data.
            Then no options are given; the target may be missing.
        features: the names of the columns that the model gets, all but the target by default. Numbers, flags, text and dates.
        target: the name of the column to predict, or several that are numbers. Text and flags become classes, numbers stay
            numbers: name a column of class numbers in `categories`.
        categories: columns of which each different value is a category, though they look like numbers. Text always is.
        dates: columns of text that are dates: names, for ISO 8601, or a dict from name to form, `{"born": "%d.%m.%Y"}`. A date
            becomes the number of days since 1970-01-01, in UTC.
        missing: what to do where a value is missing. "error" raises, naming column and rows; "drop" leaves the rows out; "fill"
            puts the mean of the training data, for a category one more, `other`. The target is never filled.
        unknown: what to do with a category that the training data had not: "error", or "other", one more category.
        standardize: take off the mean and divide by the standard deviation of numbers and dates, by the training data's.
        one_hot: categories as one column each of 0 and 1 in `x`; if false as integers in `codes`.

    Categories are sorted, as numbers if all are whole numbers; those of a pandas column of type "category" keep their order.

    Raises TypeError if `frame` is no table, and ValueError, naming column and rows, for whatever cannot be made numbers.

    >>> people = {"age": [20.0, 30.0, 40.0], "city": ["Rome", "Oslo", "Rome"], "rich": ["no", "yes", "no"]}
    >>> train = table(people, target="rich")
    >>> train.names, train.classes
    (('age', 'city=Oslo', 'city=Rome'), ('no', 'yes'))
    >>> train.x
    array([[-1.2247449,  0.       ,  1.       ],
           [ 0.       ,  1.       ,  0.       ],
           [ 1.2247449,  0.       ,  1.       ]], dtype=float32)
    >>> train.y, train[0]
    (array([0, 1, 0]), (array([-1.2247449,  0.       ,  1.       ], dtype=float32), np.int64(0)))
    >>> test = table({"age": [30.0], "city": ["Bonn"]}, like=train)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: table(): column 'city' holds 'Bonn', which the training data had not, in row 0; known are 'Oslo', 'Rome'. ...
    """
    who = "table()"
    check_options(options, Options, who)
    there = opened(frame, who)
    if like is not None:
        columns = learnt(like, options, who)
        found = read_columns(there, who, *columns.wanted(there, who))
        return Table(found, columns, who)
    survey = Survey(list(there), who, options)
    found = read_columns(there, who, survey.wanted(), survey.categories, survey.dates)
    survey.add(found)
    return Table(found, survey.columns(), who)


def learnt(like: Table | Columns, options: Collection[str], who: str) -> Columns:
    """The columns of `like`.

    Raises TypeError if options are given beside it.
    """
    if options:
        raise TypeError(
            f"{who} got like= and {', '.join(f'{name}=' for name in options)}; like= says already how columns become numbers"
        )
    return like.columns if isinstance(like, Table) else like
