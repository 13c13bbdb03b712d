"""What the published data sets' readers give, and what they say of files that are no such data."""

import gzip
import os
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tapenet import data
from tapenet.data import LabelledImages, Table, california_housing, cifar10, mnist, tiny_shakespeare
from tapenet.data.download import check, files_in
from tapenet.data.mnist_files import MNIST
from tests.data.idx_files import idx
from tests.data.published import STANDS, Stand, colour_images, grey_images, houses, shrink, tar, unpacked, write

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def real_mnist() -> Path:
    """The folder of the real files, where they are at hand."""
    places = [Path(__file__).parents[3] / "shared" / "data" / "mnist"]
    if found := os.environ.get("TAPENET_DATA"):
        places[:0] = [Path(found), Path(found) / "mnist"]
    for place in places:
        if len(files_in(MNIST, place)) == 4:
            return place
    pytest.skip("the MNIST files are neither in $TAPENET_DATA nor in ../shared/data/mnist")


class TestGreyImages:
    @pytest.mark.parametrize("function", ["mnist", "fashion_mnist"])
    def test_values(self, tmp_path: Path, function: str) -> None:
        files = unpacked(grey_images())
        found = getattr(data, function)(write(tmp_path, files))
        assert isinstance(found, LabelledImages)
        assert found._fields == ("train_images", "train_labels", "test_images", "test_labels")
        for images, labels, count in ((found.train_images, found.train_labels, 5), (found[2], found[3], 3)):
            assert (images.dtype.name, images.shape) == ("float32", (count, 1, 28, 28))
            assert (labels.dtype.name, labels.shape) == ("int64", (count,))
            assert (images.min(), images.max()) == (0, 1)
        pixels = np.frombuffer(files[TRAIN_IMAGES][16:], np.uint8).reshape(5, 1, 28, 28)
        np.testing.assert_array_equal(np.rint(found.train_images * 255), pixels)
        np.testing.assert_array_equal(found.test_labels, list(files[TEST_LABELS][8:]))

    @pytest.mark.parametrize(
        ("name", "array", "message"),
        [
            (
                TRAIN_IMAGES,
                np.zeros((5, 32, 32), np.uint8),
                r"uint8 images \(N, 28, 28\), found uint8 \(5, 32",
            ),
            (TRAIN_IMAGES, np.zeros((5, 28, 28), np.float32), r"uint8 images \(N, 28, 28\), found float32"),
            (
                TRAIN_LABELS,
                np.zeros(4, np.uint8),
                r"uint8 labels \(5,\), one for each image, found uint8 \(4,",
            ),
            (TEST_LABELS, np.array([1, 10, 2], np.uint8), r"labels from 0 to 9, found uint8 \(3,\) up to 10"),
        ],
    )
    def test_files_of_something_else(self, tmp_path: Path, name: str, array: NDArray[Any], message: str) -> None:
        write(tmp_path, {**unpacked(grey_images()), name: idx(array)})
        with pytest.raises(ValueError, match=f"{name}: expected {message}.*; put the MNIST file of this name"):
            mnist(tmp_path)
        with pytest.raises(ValueError, match=f"{name}: expected {message}.*; put the Fashion-MNIST file of this name"):
            data.fashion_mnist(tmp_path)

    def test_file_cut_short_is_named(self, tmp_path: Path) -> None:
        files = unpacked(grey_images())
        write(tmp_path, {**files, TEST_IMAGES: files[TEST_IMAGES][:-1]})
        with pytest.raises(ValueError, match=r"t10k-images-idx3-ubyte: expected 2,352 bytes .* cut short"):
            mnist(tmp_path)

    def test_there_are_as_many_names_as_classes(self) -> None:
        assert len(set(data.FASHION_MNIST_CLASSES)) == len(set(data.CIFAR10_CLASSES)) == 10


class TestRealMnist:
    def test_values(self) -> None:
        found = mnist(real_mnist())
        assert found.train_images.shape == (60000, 1, 28, 28)
        assert found.test_images.shape == (10000, 1, 28, 28)
        assert found.train_labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
        assert found.test_labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
        assert found.train_images.dtype == np.float32
        # The mean that everybody normalises MNIST with.
        assert found.train_images.mean(dtype=np.float64) == pytest.approx(0.1307, abs=5e-5)

    def test_checksums(self, tmp_path: Path) -> None:
        folder = real_mnist()
        spoilt = tmp_path / "spoilt.gz"
        for file in MNIST.files:
            path = files_in(MNIST, folder)[file.name]
            with open(path, "rb") as stream:
                check(file, stream, path)
            spoilt.write_bytes(gzip.compress(gzip.decompress(Path(path).read_bytes())[:-1], 1))
            with spoilt.open("rb") as stream, pytest.raises(ValueError, match="wrong checksum"):
                check(file, stream, str(spoilt))


class TestCifar10:
    @pytest.fixture(autouse=True)
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        shrink(monkeypatch)

    def folder(self, tmp_path: Path, archive: bytes) -> Path:
        return write(tmp_path, {"cifar-10-binary.tar": archive})

    def test_values(self, tmp_path: Path) -> None:
        found = cifar10(self.folder(tmp_path, tar(colour_images())))
        stored = [np.frombuffer(members, np.uint8).reshape(2, 3073) for members in list(colour_images().values())[1:]]
        for images, labels, records in (
            (found.train_images, found.train_labels, np.concatenate(stored[:5])),
            (found.test_images, found.test_labels, stored[5]),
        ):
            assert (images.dtype.name, images.shape) == ("float32", (len(records), 3, 32, 32))
            assert labels.dtype.name == "int64"
            np.testing.assert_array_equal(labels, records[:, 0])
            np.testing.assert_array_equal(
                images, (records[:, 1:].reshape(-1, 3, 32, 32) / np.float32(255)), strict=True
            )
        # Plane by plane, row by row: the second pixel of the green plane's third row.
        assert found.test_images[1, 1, 2, 1] == np.float32(stored[5][1, 1 + 1024 + 2 * 32 + 1]) / np.float32(255)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"test_batch.bin": None}, "one without cifar-10-batches-bin/test_batch.bin"),
            ({"test_batch.bin": bytes(3073)}, "2 records of 3,073 bytes in .*test_batch.bin, found 3,073 bytes"),
            ({"test_batch.bin": bytes(6147)}, "test_batch.bin of at most 6,146 bytes, found 6,147"),
            ({"test_batch.bin": b"\x0a" + bytes(6145)}, "labels from 0 to 9 in .*test_batch.bin, found one of 10"),
            ({"../../evil": b"!"}, r"paths inside the archive, found 'cifar-10-batches-bin/../../evil'"),
        ],
    )
    def test_archives_of_something_else(self, tmp_path: Path, change: dict[str, bytes | None], message: str) -> None:
        members = {**colour_images(), **{f"cifar-10-batches-bin/{name}": value for name, value in change.items()}}
        folder = self.folder(tmp_path, tar({name: value for name, value in members.items() if value is not None}))
        with pytest.raises(ValueError, match=rf"cifar-10-binary.tar: expected .*{message}; put a whole copy"):
            cifar10(folder)

    @pytest.mark.parametrize(
        ("archive", "message"),
        [
            (b"", "a whole tar archive, found one that is cut short"),
            (b"<html>" + bytes(1000), "a tar archive, found a header with a wrong checksum"),
            (tar(colour_images())[:9000], "a whole tar archive, found one that is cut short"),
            (tar({"/etc/passwd": b"x"}), "paths inside the archive, found '/etc/passwd'"),
            (bytes(512), "found one without cifar-10-batches-bin/data_batch_1.bin"),
            (
                tar(colour_images(), end=False) + tar(colour_images()),
                "cifar-10-batches-bin/data_batch_1.bin once, found it twice",
            ),
        ],
        ids=["empty", "page", "cut", "outside", "nothing", "twice"],
    )
    def test_damaged_archives(self, tmp_path: Path, archive: bytes, message: str) -> None:
        with pytest.raises(ValueError, match=f"expected .*{message}"):
            cifar10(self.folder(tmp_path, archive))

    def test_archives_of_other_makers(self, tmp_path: Path) -> None:
        """Long names, links and folders in between are read over."""
        import io
        import tarfile

        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as packed:
            for name, kind in (("cifar-10-batches-bin", tarfile.DIRTYPE), ("é" * 200, tarfile.REGTYPE)):
                info = tarfile.TarInfo(name)
                info.type = kind
                packed.addfile(info)
            link = tarfile.TarInfo("link")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            packed.addfile(link)
            for name, content in colour_images().items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                packed.addfile(info, io.BytesIO(content))
        assert len(cifar10(self.folder(tmp_path, stream.getvalue())).train_images) == 10

    def test_a_bomb_takes_no_memory(self, tmp_path: Path) -> None:
        """Zeros behind the end of the archive; a member that says it is long; one that is."""
        whole = tar(colour_images())
        with pytest.raises(ValueError, match="one that goes on far beyond that"):
            cifar10(write(tmp_path, {"cifar-10-binary.tar.gz": gzip.compress(whole + bytes(1 << 24), 1)}))
        big = tar({"ballast": bytes(1 << 24)}, end=False)
        tracemalloc.start()
        try:
            for archive in (tar(colour_images(), end=False) + big, big + whole):
                packed = write(tmp_path, {"cifar-10-binary.tar.gz": gzip.compress(archive, 1)})
                del archive
                tracemalloc.reset_peak()
                before = tracemalloc.get_traced_memory()[0]
                with pytest.raises(ValueError, match="one that goes on far beyond that"):
                    cifar10(packed)
                assert tracemalloc.get_traced_memory()[1] - before < 1 << 23
        finally:
            tracemalloc.stop()

    def test_damage_behind_the_last_image_is_seen(self, tmp_path: Path) -> None:
        """gzip's checksum stands at the very end."""
        packed = bytearray(gzip.compress(tar(colour_images())))
        packed[-6] ^= 1
        with pytest.raises(ValueError, match=r"a whole gzip stream, found damaged data \(CRC check failed"):
            cifar10(write(tmp_path, {"cifar-10-binary.tar.gz": bytes(packed)}))


class TestTinyShakespeare:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "a text of at most 1,115,394 bytes, found an empty file"),
            (b"a" * 1_115_395, "a text of at most 1,115,394 bytes, found more"),
            (b"To be\xff", "UTF-8 text, found byte 0xff at position 5"),
        ],
        ids=["empty", "long", "bytes"],
    )
    def test_files_of_something_else(self, tmp_path: Path, content: bytes, message: str) -> None:
        with pytest.raises(ValueError, match=f"input.txt: expected {message}; put a whole copy in its place"):
            tiny_shakespeare(write(tmp_path, {"input.txt": content}))

    def test_line_ends_and_accents_are_kept(self, tmp_path: Path) -> None:
        text = "Où\r\nêtes\n-vous"
        assert tiny_shakespeare(write(tmp_path, {"input.txt": text.encode()})) == text


class TestCaliforniaHousing:
    @pytest.fixture(autouse=True)
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        shrink(monkeypatch)

    def read(self, tmp_path: Path, lines: bytes) -> Table:
        archive = tar({"CaliforniaHousing/cal_housing.data": lines, "CaliforniaHousing/cal_housing.domain": b""})
        return california_housing(write(tmp_path, {"cal_housing.tgz": gzip.compress(archive)}))

    def test_values(self, tmp_path: Path) -> None:
        """The first district, as scikit-learn's documentation shows it."""
        found = self.read(tmp_path, houses())
        assert found.names == (
            "MedInc", "HouseAge", "AveRooms", "AveBedrms", "Population", "AveOccup", "Latitude", "Longitude",
        )  # fmt: skip
        means, deviations = ([getattr(f, part) for f in found.columns.features] for part in ("mean", "std"))
        np.testing.assert_allclose(
            found.x[0].astype(np.float64) * deviations + means,
            [8.3252, 41.0, 6.98412698, 1.02380952, 322.0, 2.55555556, 37.88, -122.23],
            rtol=1e-6,
        )
        np.testing.assert_array_equal(found.y, np.float32([4.526, 3.585, 3.521]))

    @pytest.mark.parametrize(
        ("lines", "message"),
        [
            (houses().replace(b"37.88", b"north"), "lines of numbers in .*, found something else .*north"),
            (houses() + houses(), r"3 lines of 9 numbers .*, found an array of shape \(6, 9\)"),
            (houses().replace(b",126,", b",0,"), "households above 0"),
            (b"", r"found an array of shape \(0,\)"),
            ("é".encode(), "lines of numbers"),
        ],
        ids=["word", "twice", "zero", "empty", "bytes"],
    )
    def test_files_of_something_else(self, tmp_path: Path, lines: bytes, message: str) -> None:
        with pytest.raises(ValueError, match=f"cal_housing.tgz: expected .*{message}.*; put a whole copy"):
            self.read(tmp_path, lines)


def outcome(stand: Stand, folder: Path) -> Any:
    """What is read, as bytes, or None after a clear error."""
    try:
        found = stand.read(folder)
    except ValueError as error:
        message = str(error)
    else:
        if isinstance(found, Table):
            found = found.x, found.y
        return found.encode() if isinstance(found, str) else b"".join(np.asarray(array).tobytes() for array in found)
    assert message.startswith(f"{folder}{os.sep}")
    assert ": expected " in message
    return None


def damage(name: str, stand: Stand, folder: Path, draw: st.DataObject, monkeypatch: pytest.MonkeyPatch) -> None:
    """One file, packed or not, spoilt in some places: an error that names the file, or data, and the right data where it was
    packed; never much memory."""
    shrink(monkeypatch)
    packed = draw.draw(st.booleans())
    files = stand.files if packed else unpacked(stand.files)
    folder = write(folder / ("packed" if packed else "plain"), files)
    right = outcome(stand, folder)
    assert right is not None
    victim = draw.draw(st.sampled_from(sorted(files)))
    content = bytearray(files[victim])
    for _ in range(draw.draw(st.integers(1, 3))):
        place = draw.draw(st.integers(0, len(content) - 1))
        how = draw.draw(st.sampled_from(["flip", "cut", "insert", "drop"]))
        if how == "flip":
            content[place] ^= draw.draw(st.integers(1, 255))
        elif how == "cut":
            del content[max(place, 1) :]
        elif how == "insert":
            content[place:place] = draw.draw(st.binary(min_size=1, max_size=8))
        else:
            del content[place : place + 2]
        if not content:
            break
    (folder / victim).write_bytes(content)
    tracemalloc.start()
    try:
        found = outcome(stand, folder)
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()
    if packed and victim.endswith("gz"):  # gzip's own checksum tells
        assert found in (None, right)


@pytest.mark.parametrize("name", sorted(STANDS))
@settings(max_examples=15)
@given(draw=st.data())
def test_damaged_files(name: str, tmp_path_factory: pytest.TempPathFactory, draw: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        damage(name, STANDS[name], tmp_path_factory.getbasetemp() / f"damaged-{name}", draw, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(STANDS))
@settings(max_examples=200)
@given(draw=st.data())
def test_many_damaged_files(name: str, tmp_path_factory: pytest.TempPathFactory, draw: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        damage(name, STANDS[name], tmp_path_factory.getbasetemp() / f"damaged-{name}", draw, monkeypatch)
