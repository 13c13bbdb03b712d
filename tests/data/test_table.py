"""Tables as data sets: columns to numbers, learnt on one part and used on another."""

import datetime
import pickle
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.data import Columns, DataLoader, Table, batches, csv, iris, table

PEOPLE = {
    "age": [20.0, 30.0, 40.0, 50.0],
    "city": ["Rome", "Oslo", "Rome", "Bonn"],
    "tall": [True, False, False, True],
    "rich": ["no", "yes", "no", "no"],
}
GAPS = {"age": [20.0, np.nan, 40.0, 60.0], "city": ["Rome", "Oslo", None, "Rome"], "y": [1.0, 2.0, 3.0, 4.0]}


class TestColumns:
    def test_numbers_flags_and_categories(self) -> None:
        found = table(PEOPLE, target="rich")
        age = (np.array([20, 30, 40, 50]) - 35) / np.sqrt(125)
        expected = np.array([age, [0, 0, 0, 1], [0, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1]], np.float32).T
        np.testing.assert_array_equal(found.x, expected, strict=True)
        assert found.names == ("age", "city=Bonn", "city=Oslo", "city=Rome", "tall")
        np.testing.assert_array_equal(found.y, np.array([0, 1, 0, 0]), strict=True)
        assert found.classes == ("no", "yes")
        assert len(found) == 4

    def test_chosen_features_in_their_order(self) -> None:
        found = table(PEOPLE, features=["tall", "age"], standardize=False)
        np.testing.assert_array_equal(found.x, [[1, 20], [0, 30], [0, 40], [1, 50]])
        assert found.y is None
        np.testing.assert_array_equal(found[1], [0, 30])

    def test_categories_as_integers(self) -> None:
        found = table(PEOPLE, target="age", one_hot=False)
        assert found.columns.sizes == (3, 2)
        np.testing.assert_array_equal(found.codes, [[2, 0], [1, 1], [2, 0], [0, 0]])
        np.testing.assert_array_equal(found.x, [[1], [0], [0], [1]])
        (x, codes), age = found[2]
        assert (x.tolist(), codes.tolist(), age) == ([0], [2, 0], 40)
        assert table(PEOPLE, features=["city"], one_hot=False).inputs.tolist() == [[2], [1], [2], [0]]

    def test_targets(self) -> None:
        whole = np.array([3, 1, 2])
        for column, dtype, values in (
            (np.float64([3.5, 1.5, 2.5]), "float32", [3.5, 1.5, 2.5]),
            (whole, "float32", [3, 1, 2]),
            (np.array([True, False, True]), "int64", [1, 0, 1]),
            (np.array(["b", "a", "b"]), "int64", [1, 0, 1]),
        ):
            y = table({"x": whole, "y": column}, target="y").y
            assert y is not None
            assert (y.dtype.name, y.tolist()) == (dtype, values)
        numbered = table({"x": whole, "y": [10, 9, 10]}, target="y", categories=["y"])
        assert numbered.classes == (9, 10)
        np.testing.assert_array_equal(numbered.y, [1, 0, 1], strict=True)
        both = table({"x": whole, "y": whole, "z": -whole}, target=["y", "z"])
        np.testing.assert_array_equal(both.y, np.float32([[3, -3], [1, -1], [2, -2]]), strict=True)

    def test_whole_numbers_are_one_category_however_they_are_written(self) -> None:
        train = table({"zip": [100, 20, 3]}, categories=["zip"])
        assert train.columns.features[0].categories == (3, 20, 100)
        for same in ([20, 3], [20.0, 3.0], ["20", "3"], np.array([20, 3], np.int8)):
            np.testing.assert_array_equal(table({"zip": same}, like=train).x, [[0, 1, 0], [1, 0, 0]])
        names = table({"zip": ["007", "20", "3"]}).columns.features[0].categories
        assert names == ("007", "20", "3")

    def test_dates(self) -> None:
        day = datetime.date(1970, 1, 11)
        for column in ([day], np.array(["1970-01-11"], "M8[D]"), [datetime.datetime(1970, 1, 11)]):
            found = table({"born": column}, standardize=False)
            assert found.x.tolist() == [[10]]
        text = table({"born": ["1970-01-11", "1970-01-12T12:00"]}, dates=["born"], standardize=False)
        assert text.x.tolist() == [[10], [11.5]]
        form = {"born": "%d.%m.%Y"}
        train = table({"born": ["11.01.1970", "13.01.1970"]}, dates=form)
        assert train.x.tolist() == [[-1], [1]]
        assert table({"born": ["14.01.1970"]}, like=train).x.tolist() == [[2]]
        with pytest.raises(ValueError, match=r"column 'born', row 1: '1970-02-30' is no date in ISO 8601"):
            table({"born": ["1970-02-03", "1970-02-30"]}, dates=["born"])

    def test_equal_numbers_are_not_blown_up(self) -> None:
        """Their mean is rounded, so their deviation is not 0 but rounding."""
        found = table({"a": [0.1] * 10, "b": [1e-300] * 10})
        assert np.abs(found.x).max() < 1e-6

    def test_as_data(self) -> None:
        found = table(PEOPLE, target="rich")
        assert found.y is not None
        assert [ys.tolist() for _, ys in batches(found.x, found.y, batch_size=3)] == [[0, 1, 0], [0]]
        xs, ys = found.take(np.array([3, 1]))
        np.testing.assert_array_equal(xs, found.x[[3, 1]])
        assert ys.tolist() == [0, 1]
        assert len(list(found)) == 4
        for loader in (DataLoader(found, batch_size=3), DataLoader(found.subset([0, 1, 2, 3]), batch_size=3)):
            np.testing.assert_array_equal(np.concatenate([x for x, _ in loader]), found.x)
            assert [y.tolist() for _, y in loader] == [[0, 1, 0], [0]]
        codes = table(PEOPLE, target="rich", one_hot=False)
        ((x, places), _), *_ = DataLoader(codes, batch_size=4)
        np.testing.assert_array_equal(x, codes.x)
        np.testing.assert_array_equal(places, codes.codes)

    def test_fit_and_evaluate_take_it_as_it_is(self) -> None:
        train, test = iris().split(test=0.2, seed=0)
        net = tn.nn.Linear(4, 3)
        seen: list[int] = []

        def step(x: Any, y: Any) -> Any:
            seen.append(len(y))
            return tn.nn.functional.cross_entropy(net(x), y)

        optimizer = tn.optim.SGD(net.parameters(), lr=0.1)
        tn.training.fit(net, None, optimizer, train, epochs=2, batch_size=50, step=step, compile=False, verbose=0)
        assert seen == [50, 50, 20] * 2
        loss = tn.nn.functional.cross_entropy
        assert tn.training.evaluate(net, loss, test, metrics=["accuracy"]) == tn.training.evaluate(
            net, loss, (test.x, test.y), metrics=["accuracy"]
        )

    def test_they_go_to_other_processes(self, tmp_path: Any) -> None:
        (tmp_path / "a.csv").write_text("a,b\n1,x\n2,y\n")
        for found in (table(PEOPLE), csv(tmp_path / "a.csv"), csv(tmp_path / "a.csv").split(test=[0])[0]):
            again = pickle.loads(pickle.dumps(found))
            np.testing.assert_array_equal(again.x, found.x)
            assert len(again.split(test=[0])[1] if len(again) > 1 else again) == 1


class TestLike:
    def test_the_training_data_counts(self) -> None:
        train = table(PEOPLE, target="rich")
        test = table({name: column[:1] for name, column in PEOPLE.items()}, like=train)
        np.testing.assert_array_equal(test.x, train.x[:1], strict=True)
        np.testing.assert_array_equal(test.y, [0], strict=True)
        alone = table({name: PEOPLE[name][1:2] for name in ("city", "age", "tall")}, like=train.columns)
        np.testing.assert_array_equal(alone.x, train.x[1:2])
        assert alone.y is None

    def test_saved_with_the_model(self, tmp_path: Any) -> None:
        for options in ({}, {"one_hot": False, "unknown": "other", "missing": "fill", "standardize": False}):
            train = table(PEOPLE, target="rich", **options)  # type: ignore[arg-type]
            tn.files.save(train.columns.state_dict(), tmp_path / "columns.safetensors")
            columns = Columns.from_state_dict(tn.files.load(tmp_path / "columns.safetensors"))
            again = table(PEOPLE, like=columns)
            np.testing.assert_array_equal(again.x, train.x, strict=True)
            np.testing.assert_array_equal(again.codes, train.codes, strict=True)
            np.testing.assert_array_equal(again.y, train.y, strict=True)
            assert (again.names, again.classes) == (train.names, train.classes)
            assert repr(columns) == repr(train.columns)
        with pytest.raises(ValueError, match=r"needs what Columns\.state_dict\(\) gave"):
            Columns.from_state_dict({"features": []})

    def test_unknown_categories(self) -> None:
        cities = {"city": ["Rome", "Paris", "Oslo"]}
        train = table({"city": ["Rome", "Oslo"]})
        message = (
            r"table\(\): column 'city' holds 'Paris', which the training data had not, in row 1; known are 'Oslo', 'Rome'. "
            r".*unknown='other'"
        )
        with pytest.raises(ValueError, match=message):
            table(cities, like=train)
        open_ = table({"city": ["Rome", "Oslo"]}, unknown="other")
        assert open_.names == ("city=Oslo", "city=Rome", "city=other")
        np.testing.assert_array_equal(table(cities, like=open_).x, [[0, 1, 0], [0, 0, 1], [1, 0, 0]])
        with pytest.raises(ValueError, match="column 'y' holds 'c'"):
            table({"x": [1.0], "y": ["c"]}, like=table({"x": [1.0, 2.0], "y": ["a", "b"]}, target="y", unknown="other"))

    def test_a_place_for_missing_values_is_none_for_unknown_ones(self) -> None:
        train = table({"city": ["Rome", None]}, missing="fill")
        assert train.names == ("city=Rome", "city=other")
        np.testing.assert_array_equal(table({"city": [None, "Rome"]}, like=train).x, [[0, 1], [1, 0]])
        with pytest.raises(ValueError, match="column 'city' holds 'Oslo', which the training data had not, in row 1"):
            table({"city": [None, "Oslo"]}, like=train)

    def test_other_kinds_and_options_beside_it_are_errors(self) -> None:
        train = table(PEOPLE)
        with pytest.raises(
            ValueError, match="column 'age' holds values of kind 'category', the training data had 'number'"
        ):
            table({**PEOPLE, "age": ["a", "b", "c", "d"]}, like=train)
        with pytest.raises(ValueError, match=r"there is no column 'age', did you mean 'Age'\? There are: Age, city"):
            table({"Age": [1.0], "city": ["Rome"]}, like=train)
        with pytest.raises(TypeError, match=r"got like= and target=, missing=; like= says already"):
            table(PEOPLE, like=train, target="rich", missing="drop")


class TestMissing:
    def test_error_names_column_and_rows(self) -> None:
        with pytest.raises(
            ValueError, match=r"column 'age' has no value in 1 of 4 rows: row 1; leave .*'drop', or put"
        ):
            table(GAPS)
        many = {"a": [None] * 9 + [1.0]}
        with pytest.raises(ValueError, match=r"9 of 10 rows: row 0, row 1, row 2, row 3, row 4 and 4 more; "):
            table(many)
        with pytest.raises(ValueError, match="column 'a' has no value at all"):
            table({"a": [None, None]}, missing="fill")

    def test_drop(self) -> None:
        found = table(GAPS, target="y", missing="drop")
        np.testing.assert_array_equal(found.x, np.float32([[-1, 1], [1, 1]]))
        np.testing.assert_array_equal(found.y, np.float32([1, 4]))
        assert found.names == ("age", "city=Rome"), "what was learnt is of the rows that are left"

    def test_fill(self) -> None:
        found = table(GAPS, target="y", missing="fill")
        assert found.names == ("age", "city=Oslo", "city=Rome", "city=other")
        np.testing.assert_array_equal(found.x[1, 0], 0)
        np.testing.assert_array_equal(found.x[2, 1:], [0, 0, 1])
        np.testing.assert_array_equal(table(GAPS, missing="fill", standardize=False).x[1, 0], 40)
        with pytest.raises(ValueError, match="column 'y' has no value in 1 of 2 rows: row 1; leave these rows out"):
            table({"x": [1.0, 2.0], "y": ["a", None]}, target="y", missing="fill")


class TestSplit:
    def test_what_is_learnt_is_the_training_parts(self) -> None:
        rng = np.random.default_rng(0)
        columns = {"a": rng.normal(5, 3, 100), "b": rng.choice(["u", "v"], 100), "y": rng.normal(size=100)}
        whole = table(columns, target="y")
        train, test = whole.split(test=0.3, seed=1)
        assert (len(train), len(test)) == (70, 30)
        np.testing.assert_allclose((train.x[:, 0].mean(), train.x[:, 0].std()), (0, 1), atol=1e-6)
        assert abs(test.x[:, 0].mean()) > 1e-3
        assert train.y is not None
        assert test.y is not None
        assert whole.y is not None
        assert sorted([*train.y, *test.y]) == sorted(whole.y)
        np.testing.assert_array_equal(whole.split(test=0.3, seed=1)[1].x, test.x)
        assert whole.split(test=0.3, seed=2)[1].y.tolist() != test.y.tolist()  # type: ignore[union-attr]

    def test_given_rows(self) -> None:
        whole = table(PEOPLE, target="rich")
        train, test = whole.split(test=[1, 3])
        assert train.x[:, 0].tolist() == [-1, 1]
        np.testing.assert_array_equal(test.x[:, 0], [0, 2])
        assert test.columns.state_dict() == train.columns.state_dict()
        for rows in ([], [0, 1, 2, 3]):
            with pytest.raises(ValueError, match="split needs rows for both parts"):
                whole.split(test=rows)

    def test_one_number_is_a_share(self) -> None:
        """Neither the number of a row nor how many rows, as scikit-learn takes it."""
        whole = table(PEOPLE, target="rich")
        assert len(whole.split(test=np.float32(0.5))[1]) == 2
        for share in (0, 1, 2, 1.5, -0.25):
            with pytest.raises(
                ValueError, match=f"split needs test as a share between 0 and 1, .* got {share}; for 30 rows"
            ):
                whole.split(test=share)

    def test_rows_keep_their_names(self) -> None:
        train, test = table({"a": ["u", "v", "v", "v"]}).split(test=[0])
        with pytest.raises(ValueError, match=r"'u'.* in row 0; known are 'v'"):
            Table(test._frame, table({"a": ["v"]}).columns, "here")
        assert len(train) == 3


class TestErrors:
    @pytest.mark.parametrize(
        ("columns", "options", "error", "message"),
        [
            (
                [1, 2],
                {},
                TypeError,
                r"needs a pandas DataFrame, an Arrow table or a dict of arrays, got list; .*csv\(path\)",
            ),
            ({"a": [1, 2], "b": [1]}, {}, ValueError, "of one length, got {'a': 2, 'b': 1}"),
            ({"a": np.zeros((2, 2))}, {}, ValueError, r"column 'a' must be of shape \(N,\), got \(2, 2\)"),
            ({1: [1]}, {}, ValueError, "column names must be strings, got 1"),
            ({"a": [1j]}, {}, ValueError, "column 'a' has dtype complex128"),
            ({"a": [1, "x"]}, {}, ValueError, "column 'a' holds objects that are not all numbers: int, str"),
            ({"a": [{}, 1]}, {}, ValueError, "column 'a' holds objects that are not all numbers: dict, int"),
            ({"a": [1.0, np.inf]}, {}, ValueError, "column 'a' is infinite in row 1"),
            (
                {"a": [1e39, 1e39]},
                {"standardize": False},
                ValueError,
                "numbers in column 'a' are too large for float32",
            ),
            ({"a": [1e300, -1e300]}, {}, ValueError, "numbers in column 'a' are too large to take their mean"),
            ({"a": [1.0]}, {"traget": "b"}, TypeError, r"table\(\) takes no traget=, did you mean target="),
            ({"a": [1.0]}, {"delimiter": ";"}, TypeError, r"table\(\) takes no delimiter=.* It takes features, target"),
            ({"a": [1.0]}, {"target": "b"}, ValueError, "no column 'b'. There are: a"),
            ({"a": [1.0]}, {"target": "a"}, ValueError, "no column is left to be a feature; the table has a"),
            (
                {"a": [1.0]},
                {"features": "a"},
                TypeError,
                r"features as a list of names, got the string 'a'; write \['a'\]",
            ),
            ({"a": [1.0]}, {"categories": "a"}, TypeError, r"categories as a list of names, got the string 'a'"),
            ({"a": [1.0]}, {"dates": ["b"]}, ValueError, "no column 'b'"),
            ({"a": [1.0]}, {"features": ["a"], "target": "a"}, ValueError, "column 'a' is both a feature and a target"),
            ({"a": [1.0]}, {"missing": "mean"}, ValueError, "missing as one of 'error', 'drop', 'fill', got 'mean'"),
            (
                {"a": [str(i) + "x" for i in range(1001)]},
                {},
                ValueError,
                "holds text with more than 1,000 different values",
            ),
            (
                {"a": [1.0], "b": ["x"], "c": [1.0]},
                {"target": ["b", "c"]},
                ValueError,
                "one target that is a category or several numbers, got b: category, c: number",
            ),
            ({"a": [(1, 2), 3]}, {"categories": ["a"]}, ValueError, "column 'a' holds a tuple, which is no category"),
            (
                {"a": [[1, 2], 3]},
                {"categories": ["a"]},
                ValueError,
                "column 'a' holds what is no category .*unhashable",
            ),
            ({"a": [[1, 2], 3]}, {}, ValueError, "column 'a' holds objects that are not all numbers: int, list"),
            ({"a": [[1, 2], [3]]}, {}, ValueError, "column 'a' is no column of single values"),
            ({"a": [b"1", 2]}, {}, ValueError, "column 'a' holds objects that are not all numbers: bytes, int"),
            ({}, {}, ValueError, "no column is left to be a feature; the table has none"),
        ],
    )
    def test_each(self, columns: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
        if (
            isinstance(columns, dict)
            and isinstance(columns.get("a"), list)
            and len({type(v) for v in columns["a"]}) > 1
        ):
            ragged = np.empty(len(columns["a"]), object)
            ragged[:] = columns["a"]
            columns = {**columns, "a": ragged}
        with pytest.raises(error, match=message):
            table(columns, **options)

    def test_many_names_are_fine_where_they_are_asked_for(self) -> None:
        names = [f"n{i}" for i in range(1001)]
        assert table({"a": names}, categories=["a"], one_hot=False).columns.sizes == (1001,)


class TestPandasAndArrow:
    """The same columns give the same numbers whoever holds them."""

    def test_frames(self) -> None:
        pandas, pyarrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
        columns = {**PEOPLE, "born": np.array(["1970-01-01", "1971-01-01", "1970-06-01", "1980-01-01"], "M8[s]")}
        expected = table(columns, target="rich")
        frame = pandas.DataFrame(columns)
        arrow = pyarrow.table(columns)
        for data in (frame, arrow, arrow.to_batches()[0], frame.convert_dtypes(), frame.astype({"city": "category"})):
            found = table(data, target="rich")
            np.testing.assert_array_equal(found.x, expected.x, strict=True)
            np.testing.assert_array_equal(found.y, expected.y, strict=True)
            assert (found.names, found.classes) == (expected.names, expected.classes)
        reordered = frame.sample(frac=1, random_state=0)
        np.testing.assert_array_equal(table(reordered, like=expected).x, expected.x[reordered.index])

    def test_missing_values(self) -> None:
        pandas, pyarrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
        frame = pandas.DataFrame(
            {
                "a": pandas.array([1, None, 3], "Int64"),
                "b": ["x", None, "y"],
                "c": pandas.array([True, None, False], "boolean"),
            }
        )
        expected = table({"a": [1, np.nan, 3], "b": ["x", None, "y"], "c": [True, None, False]}, missing="fill").x
        assert not np.isnan(expected).any()
        for data in (frame, pyarrow.Table.from_pandas(frame), frame.astype({"b": "category"})):
            np.testing.assert_array_equal(table(data, missing="fill").x, expected)
            with pytest.raises(ValueError, match="column 'a' has no value in 1 of 3 rows: row 1"):
                table(data)

    def test_their_own_types(self) -> None:
        pandas = pytest.importorskip("pandas")
        size = pandas.Categorical(["small", "large", "small"], categories=["small", "medium", "large"])
        zoned = pandas.to_datetime(["1970-01-01 12:00", "1970-01-02 00:00", "1970-01-03 00:00"]).tz_localize(
            "Europe/Berlin"
        )
        found = table(pandas.DataFrame({"size": size, "at": zoned}), standardize=False)
        assert found.names == ("size=small", "size=medium", "size=large", "at")
        np.testing.assert_allclose(found.x[:, 3], [11 / 24, 23 / 24, 47 / 24], rtol=1e-6)
        with pytest.raises(ValueError, match="there are 2 columns called 'a'; rename them"):
            table(pandas.DataFrame([[1, 2]], columns=["a", "a"]))
        with pytest.raises(ValueError, match="column names must be strings, got 0"):
            table(pandas.DataFrame([[1, 2]]))
        with pytest.raises(ValueError, match="column 'a' has dtype timedelta64"):
            table(pandas.DataFrame({"a": pandas.to_timedelta([1, 2], "s")}))
