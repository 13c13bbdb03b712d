"""CSV files: read right, or with an error that names the line."""

import csv as csv_format
import gzip
import io
import random
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapenet.data import Table, csv, csv_chunks, iris, table

PEOPLE = "age,city,rich\n20,Rome,no\n30,Oslo,yes\n40,Rome,no\n50,Bonn,no\n"


def write(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "data.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def check_equal(found: Table, expected: Table) -> None:
    np.testing.assert_array_equal(found.x, expected.x, strict=True)
    np.testing.assert_array_equal(found.codes, expected.codes, strict=True)
    if expected.y is None:
        assert found.y is None
    else:
        np.testing.assert_array_equal(found.y, expected.y, strict=True)
    assert (found.names, found.classes) == (expected.names, expected.classes)


class TestValues:
    def test_like_a_table(self, tmp_path: Path) -> None:
        columns = {"age": [20, 30, 40, 50], "city": ["Rome", "Oslo", "Rome", "Bonn"], "rich": ["no", "yes", "no", "no"]}
        path = write(tmp_path, PEOPLE)
        check_equal(csv(path, target="rich"), table(columns, target="rich"))
        check_equal(csv(str(path), features=["city"], one_hot=False), table(columns, features=["city"], one_hot=False))
        train = csv(path, target="rich")
        check_equal(
            csv(write(tmp_path, "rich,city,age\nyes,Bonn,35\n"), like=train),
            table({"age": [35], "city": ["Bonn"], "rich": ["yes"]}, like=train),
        )
        alone = csv(write(tmp_path, "city,age\nBonn,35\n"), like=train)
        assert alone.y is None

    @pytest.mark.parametrize(
        ("text", "options"),
        [
            (PEOPLE.replace("\n", "\r\n"), {}),
            (PEOPLE.replace("\n", "\r"), {}),
            (PEOPLE.rstrip("\n"), {}),
            ("\ufeff" + PEOPLE, {}),
            (PEOPLE.replace("\n", "\n\n") + "\n\n", {}),
            (PEOPLE.replace(",", ";"), {"delimiter": ";"}),
            (PEOPLE.replace(",", " , "), {}),
            (PEOPLE.replace("Rome", '"Rome"').replace("20", '"20"'), {}),
            (PEOPLE.partition("\n")[2], {"names": ["age", "city", "rich"]}),
            (PEOPLE.replace("20", "2e1").replace("30", "+30.000"), {}),
            (PEOPLE.replace(",", ";").replace("20", "20,0"), {"delimiter": ";", "decimal": ","}),
            (PEOPLE.encode("utf-16"), {"encoding": "utf-16"}),
            (PEOPLE.encode("cp1252"), {"encoding": "cp1252"}),
        ],
    )
    def test_ways_to_write_the_same(self, tmp_path: Path, text: str | bytes, options: Any) -> None:
        expected = csv(write(tmp_path, PEOPLE), target="rich")
        check_equal(csv(write(tmp_path, text), target="rich", **options), expected)

    def test_quotes_commas_and_line_ends_in_values(self, tmp_path: Path) -> None:
        found = csv(write(tmp_path, 'a,"b,\nc"\n1,"Rome, ""the\nold"""\n2,Oslo\n'), standardize=False)
        assert found.columns.features[1].name == "b,\nc"
        assert found.columns.features[1].categories == ("Oslo", 'Rome, "the\nold"')
        assert found.x.tolist() == [[1, 0, 1], [2, 1, 0]]

    def test_missing_values(self, tmp_path: Path) -> None:
        path = write(tmp_path, "a,b\n1,x\n,NA\nnan,\n3,x\n")
        found = csv(path, missing="fill", standardize=False)
        assert found.x.tolist() == [[1, 1, 0], [2, 0, 1], [2, 0, 1], [3, 1, 0]]
        assert len(csv(path, missing="drop")) == 2
        with pytest.raises(
            ValueError, match=r"data.csv: column 'a' has no value in 2 of 4 rows: line 3, line 4; leave"
        ):
            csv(path)
        marked = write(tmp_path, "a\n1\n?\n3\n")
        assert csv(marked, no_values=["?"], missing="drop").x.tolist() == [[-1], [1]]
        first = write(tmp_path, "a,b\n,1\n2,1\n")
        assert csv(first, missing="drop", standardize=False).x.tolist() == [[2, 1]]

    def test_categories_that_look_like_numbers(self, tmp_path: Path) -> None:
        found = csv(
            write(tmp_path, "zip,label\n00501,10\n10115,9\n00501,10\n"), target="label", categories=["zip", "label"]
        )
        assert found.names == ("zip=00501", "zip=10115")
        assert found.classes == (9, 10)
        assert found.y is not None
        assert found.y.tolist() == [1, 0, 1]

    def test_dates(self, tmp_path: Path) -> None:
        path = write(tmp_path, "born,died\n1970-01-03,31.12.1970\n1970-01-05, \n")
        found = csv(path, dates={"born": None, "died": "%d.%m.%Y"}, missing="drop", standardize=False)  # type: ignore[dict-item]
        assert found.x.tolist() == [[2, 364]]
        with pytest.raises(ValueError, match=r"data.csv, line 2, column 'died': '31\.12\.1970' is no date in ISO 8601"):
            csv(path, dates=["died"], missing="drop")

    def test_iris(self) -> None:
        flowers = iris()
        assert (flowers.x.shape, flowers.classes) == ((150, 4), ("setosa", "versicolor", "virginica"))
        np.testing.assert_array_equal(np.bincount(flowers.y), [50, 50, 50])  # type: ignore[arg-type]
        means = [f.mean for f in flowers.columns.features]
        np.testing.assert_allclose(means, [5.843333, 3.057333, 3.758, 1.199333], rtol=1e-6)
        # The two flowers that UCI's file has wrong.
        raw = np.array(flowers.x, np.float64) * [f.std for f in flowers.columns.features] + means
        np.testing.assert_allclose(raw[[34, 37]], [[4.9, 3.1, 1.5, 0.2], [4.9, 3.6, 1.4, 0.1]], rtol=1e-5)


class TestChunks:
    def big(self, tmp_path: Path, rows: int = 1000) -> Path:
        rng = np.random.default_rng(0)
        lines = [
            f"{a:.3f},{c},{int(b)}"
            for a, c, b in zip(
                rng.normal(9, 2, rows), rng.choice([*"uvw"], rows), rng.integers(0, 9, rows), strict=True
            )
        ]
        return write(tmp_path, "\n".join(["a,c,y", *lines]) + "\n")

    @pytest.mark.parametrize("rows", [1, 7, 500, 5000])
    def test_together_they_are_the_whole(self, tmp_path: Path, rows: int) -> None:
        path = self.big(tmp_path)
        whole = csv(path, target="y", one_hot=False)
        chunks = csv_chunks(path, target="y", one_hot=False, rows=rows)
        for _ in range(2):
            tables = list(chunks)
            assert [len(t) for t in tables[:-1]] == [rows] * (len(tables) - 1)
            np.testing.assert_allclose(np.concatenate([t.x for t in tables]), whole.x, rtol=1e-5, atol=1e-6)
            np.testing.assert_array_equal(np.concatenate([t.codes for t in tables]), whole.codes)
            np.testing.assert_array_equal(np.concatenate([t.y for t in tables]), whole.y)  # type: ignore[misc]
        again = csv_chunks(path, like=whole, rows=rows)
        np.testing.assert_array_equal(np.concatenate([t.x for t in again]), whole.x)

    def test_the_parts_in_which_a_whole_file_is_read_do_not_show(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = write(tmp_path, "a,b,c\n" + "1,,\n" * 5 + "2,x,\n" + ",y,7\n" * 3)
        expected = csv(path, missing="fill")
        monkeypatch.setattr("tapenet.data.csv_files._CHUNK", 2)
        check_equal(csv(path, missing="fill"), expected)
        with pytest.raises(ValueError, match="column 'a' has no value in 3 of 9 rows: line 8, line 9, line 10;"):
            csv(path)
        for rows in (1, 4):
            parts = list(csv_chunks(path, missing="fill", rows=rows))
            np.testing.assert_array_equal(np.concatenate([part.x for part in parts]), expected.x)

    def test_they_take_no_more_memory_than_a_chunk(self, tmp_path: Path) -> None:
        path = self.big(tmp_path, 40_000)
        assert path.stat().st_size > 400_000
        tracemalloc.start()
        try:
            assert sum(len(t) for t in csv_chunks(path, target="y", rows=100)) == 40_000
            assert tracemalloc.get_traced_memory()[1] < 300_000
        finally:
            tracemalloc.stop()

    def test_lines_are_counted_on(self, tmp_path: Path) -> None:
        text = 'a,b\n1,"x\ny"\n\n2,z\n3,z\n' + "4,z\n" * 10 + "five,z\n"
        for rows in (1, 2, 100):
            with pytest.raises(ValueError, match=r"data\.csv, line 17, column 'a': 'five' is no number"):
                csv_chunks(write(tmp_path, text), rows=rows)
        with pytest.raises(ValueError, match="rows of at least 1, got 0"):
            csv_chunks(write(tmp_path, PEOPLE), rows=0)


class TestDamage:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", " is empty; a CSV file begins with a line of column names"),
            ("\n\n", " is empty"),
            ("a,b\n", " has a line of column names and no rows"),
            (
                "a,b\n1,2\n3\n",
                r", line 3: 1 values, but 2 columns: a, b; it begins '3'. Correct it, or give the right delimiter=",
            ),
            ("a,b\n1,2\n3,4,5\n", ", line 3: 3 values, but 2 columns"),
            ("a;b\n1;2,5\n", ": the first line is one name, 'a;b', with delimiter=','; give delimiter=';'"),
            ("ab\n1;2,5\n", ", line 2: 2 values, but 1 columns: ab"),
            ("a,b\n1,2\na,b\n3,4\n", ", line 3: the names of the columns once more"),
            (
                "a,b\n1,2\nx,4\n",
                ", line 3, column 'a': 'x' is no number, as the other values are; correct it, name it in no_values=",
            ),
            ("a,b\n1,2\n{0}{b},4\n", r", line 3, column 'a': '\{0\}\{b\}' is no number"),
            (" a,b\n1,2\n a,b\n3,4\n", ", line 3: the names of the columns once more"),
            ("a,b\n1,2\n1_000,4\n", ", line 3, column 'a': '1_000' is no number"),
            ("a,b\n1,2\ninf,4\n", ": column 'a' is infinite in line 3"),
            (
                "a,b\n?,2\n3,4\n5,6\n",
                r", line 2, column 'a': '\?' is no number, but [12] of [23] values are; name it in no_values=",
            ),
            ('a,b\n1,"2\n3,4\n', ", line 3: unexpected end of data; check its quotes"),
            ('a,b\n1,"2"x\n', ", line 2: ',' expected after '\"'; check its quotes"),
            ("1,2\n3,4\n", r": the first line holds numbers \(1, 2\), where the names of the columns are expected"),
            (",a\n0,1\n", ": column 1 has no name in the first line; .*index=False"),
            ("a,b,a\n1,2,3\n", ": the first line names two columns 'a'"),
            ("a\n" + "x" * 200_000 + "\n", r", line 2: field larger than field limit"),
            (
                b"a,b\n1,caf\xe9\n2,x\n",
                ", line 2: no text in utf-8 .*: '1,caf\ufffd'; give the file's encoding, often encoding='cp1252'",
            ),
            ("a,b\n1,x\n".encode("utf-16"), " begins with the mark of UTF-16; give encoding='utf-16'"),
            (gzip.compress(b"a,b\n1,2\n"), " is a gzip file; unpack it first"),
        ],
        ids=range(23),
    )
    def test_each(self, tmp_path: Path, text: str | bytes, message: str) -> None:
        path = write(tmp_path, text)
        with pytest.raises(ValueError, match=f"data.csv{message}"):
            csv(path)
        with pytest.raises(ValueError, match=f"data.csv{message}"):
            list(csv_chunks(path, rows=2))

    def test_wrong_calls(self, tmp_path: Path) -> None:
        path = write(tmp_path, PEOPLE)
        with pytest.raises(FileNotFoundError, match=r"nowhere.csv: no such file in .*; check the path"):
            csv("nowhere.csv")
        with pytest.raises(TypeError, match=r"csv\(\) takes no delimeter=, did you mean delimiter="):
            csv(path, delimeter=";")  # type: ignore[call-arg]
        with pytest.raises(
            TypeError, match=r"csv\(\) takes no sep=\. It takes .*, delimiter, decimal, encoding, no_values"
        ):
            csv_chunks(path, sep=";")  # type: ignore[call-arg]
        with pytest.raises(ValueError, match="there is no encoding 'utf8x'"):
            csv(path, encoding="utf8x")
        with pytest.raises(ValueError, match="there is no column 'riches', did you mean 'rich'"):
            csv(path, target="riches")
        with pytest.raises(ValueError, match=r"there is no column 'b'\. There are: age, city, rich"):
            csv(path, categories=["b"])
        with pytest.raises(TypeError, match=r"got like= and target=; like= says already"):
            csv(path, like=csv(path), target="rich")
        with pytest.raises(ValueError, match="line 1: 3 values, but 2 columns"):
            csv(path, names=["a", "b"])
        with pytest.raises(ValueError, match="line 1, column 'a': 'age' is no number, but 4 of 5 values are"):
            csv(path, names=["a", "b", "c"])
        with pytest.raises(TypeError, match=r"needs target as the name of a column, or a list of names, not -1"):
            csv(path, target=-1)  # type: ignore[arg-type]

    def test_another_delimiter_and_another_decimal_mark_than_was_said(self, tmp_path: Path) -> None:
        path = write(tmp_path, "size;price\n1,5;2\n-2,25;3\n")
        with pytest.raises(ValueError, match=r"the first line is one name, 'size;price', with .*; give delimiter=';'"):
            csv(path)
        with pytest.raises(
            ValueError, match=r"line 2, column 'size': '1,5' is no number with decimal='\.'.* decimal=','"
        ):
            csv(path, delimiter=";")
        assert csv(path, delimiter=";", decimal=",", standardize=False).x[:, 0].tolist() == [1.5, -2.25]
        named = csv(path, delimiter=";", categories=["size"])
        assert named.names[:2] == ("size=-2,25", "size=1,5")
        thousands = write(tmp_path, 'people\n"1,000"\n"2,500"\n')
        with pytest.raises(ValueError, match=r"'1,000' is no number .* take out marks between thousands"):
            csv(thousands)

    def test_test_data_with_words_among_numbers(self, tmp_path: Path) -> None:
        train = csv(write(tmp_path, PEOPLE), target="rich")
        with pytest.raises(ValueError, match="line 2, column 'age': 'old' is no number"):
            csv(write(tmp_path, "age,city\nold,Rome\n"), like=train)
        with pytest.raises(ValueError, match="'Paris', which the training data had not, in line 3; known are"):
            csv(write(tmp_path, "age,city\n1,Rome\n2,Paris\n"), like=train)


def spoil(text: bytes, rng: random.Random) -> bytes:
    """Some bytes changed, cut out, doubled or put in."""
    for _ in range(rng.randint(1, 3)):
        place, length = rng.randrange(len(text) + 1), rng.randint(1, 6)
        part = text[place : place + length]
        extra = bytes(rng.choice(b"\n\r,;\"' x0.-e\x00\xff\xe9") for _ in range(length))
        text = text[:place] + rng.choice([extra[: len(part)], b"", part + part, extra + part]) + text[place + length :]
    return text


def check_spoilt(path: Path, text: bytes) -> bool:
    """The file gives what Python's own reader sees in it, or a clear error; whether it is the former."""
    path.write_bytes(text)
    try:
        found = csv(path, missing="fill", standardize=False)
    except ValueError as error:
        message = str(error)
    else:
        rows = [row for row in csv_format.reader(io.StringIO(text.decode("utf-8-sig"), newline=""), strict=True) if row]
        assert len(found) == len(rows) - 1
        for row, values in zip(rows[1:], found.x, strict=True):
            fields, at = [field.strip() for field in row], 0
            for f, field in zip(found.columns.features, fields, strict=True):
                if f.kind == "number":
                    there = (
                        values[at]
                        if field in ("", "nan", "NaN", "-nan", "+nan") or field in ("NA", "null")
                        else np.float32(float(field))
                    )
                    np.testing.assert_equal(values[at], there)
                    at += 1
                else:
                    codes = values[at : at + len(f.names)]
                    assert codes.sum() == 1
                    label = ([*map(str, f.categories), None])[int(codes.argmax())]
                    assert label == field or (label is None and field in ("", "NA", "null", "nan", "NaN"))
                    at += len(f.names)
        return True
    assert message.startswith(str(path))
    return False


def spoilt_files(path: Path, count: int) -> None:
    rng = random.Random(0)
    text = b"a,b,c\n" + b"".join(b"%d.5,%s,%d\n" % (i, [b"red", b'"blue, dark"'][i % 2], i * i) for i in range(8))
    fine = sum(check_spoilt(path, spoil(text, rng)) for _ in range(count))
    assert count // 10 < fine < count


def test_spoilt_files(tmp_path: Path) -> None:
    spoilt_files(tmp_path / "data.csv", 200)


@pytest.mark.slow
def test_many_spoilt_files(tmp_path: Path) -> None:
    spoilt_files(tmp_path / "data.csv", 2_000)


@pytest.mark.slow
@settings(max_examples=30)
@given(
    rows=st.lists(
        st.tuples(st.floats(allow_nan=False, allow_infinity=False, width=32), st.text(max_size=6)),
        min_size=1,
        max_size=8,
    ),
    rows_at_once=st.integers(1, 3),
)
def test_what_the_csv_module_writes_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, str]], rows_at_once: int
) -> None:
    """Any text, quoted as need be."""
    path = tmp_path_factory.getbasetemp() / "written.csv"
    labels = [f"<{label}>".encode("utf-8", "replace").decode() for _, label in rows]
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv_format.writer(stream)
        writer.writerow(["number", "text"])
        writer.writerows((number, label) for (number, _), label in zip(rows, labels, strict=True))
    chunks = csv_chunks(path, standardize=False, one_hot=False, rows=rows_at_once)
    numbers = np.concatenate([t.x for t in chunks])
    codes = np.concatenate([t.codes for t in chunks])
    np.testing.assert_array_equal(numbers[:, 0], np.float32([number for number, _ in rows]))
    assert [chunks.columns.features[1].categories[code] for code in codes[:, 0]] == labels
