"""Folders of images: what is in them, and what is said of damaged files."""

import io
import os
import random
import re
import struct
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tapenet.data import DataLoader, image_folder, read_image
from tapenet.data.transforms import Compose, RandomCrop, Resize, ToFloat

PIL = pytest.importorskip("PIL")
from PIL import Image  # noqa: E402


def picture(height: int = 4, width: int = 6) -> NDArray[np.uint8]:
    """Colours that differ from place to place, (H, W, 3)."""
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def save(path: Path, image: Any = None, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    (Image.fromarray(picture()) if image is None else image).save(path, **options)
    return path


def encoded(kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture()).save(stream, kind, **options)
    return stream.getvalue()


class TestReadImage:
    @pytest.mark.parametrize("ending", ["png", "bmp", "ppm", "tiff", "webp"])
    def test_formats_that_lose_nothing(self, tmp_path: Path, ending: str) -> None:
        options = {"lossless": True} if ending == "webp" else {}
        found = read_image(save(tmp_path / f"a.{ending}", **options))
        np.testing.assert_array_equal(found, picture().transpose(2, 0, 1), strict=True)
        assert found.flags.c_contiguous
        assert found.flags.writeable

    def test_jpeg(self, tmp_path: Path) -> None:
        smooth = np.full((16, 16, 3), (200, 100, 50), np.uint8)
        found = read_image(save(tmp_path / "a.jpg", Image.fromarray(smooth), quality=95))
        assert np.abs(found - np.array([200, 100, 50])[:, np.newaxis, np.newaxis]).max() <= 3

    def test_modes(self, tmp_path: Path) -> None:
        colours = Image.fromarray(picture())
        grey = np.asarray(colours.convert("L"))
        transparent = np.dstack([picture(), np.full((4, 6), 77, np.uint8)])
        files = {
            "RGB": colours,
            "L": Image.fromarray(grey),
            "RGBA": Image.fromarray(transparent),
            "LA": Image.fromarray(np.dstack([grey, grey])),
            "1": Image.fromarray(grey > 127),
            "P": colours.quantize(16),
            "I;16": Image.fromarray(grey.astype(np.uint16) * 257),
        }
        kept = {"RGB": 3, "L": 1, "RGBA": 4, "LA": 4, "1": 1, "P": 3, "I;16": 1}
        for mode, image in files.items():
            path = save(tmp_path / f"{mode[0]}{len(mode)}.png", image)
            assert read_image(path).shape == (3, 4, 6), mode
            assert read_image(path, "L").shape == (1, 4, 6)
            assert read_image(path, "RGBA").shape == (4, 4, 6)
            assert read_image(path, "keep").shape == (kept[mode], 4, 6), mode
        np.testing.assert_array_equal(read_image(tmp_path / "I4.png", "L")[0], grey)
        np.testing.assert_array_equal(read_image(tmp_path / "I4.png"), np.repeat(grey[np.newaxis], 3, 0))
        np.testing.assert_array_equal(read_image(tmp_path / "11.png", "keep")[0], (grey > 127) * 255)
        np.testing.assert_array_equal(read_image(tmp_path / "R4.png", "keep"), transparent.transpose(2, 0, 1))
        cmyk = save(tmp_path / "c.jpg", colours.convert("CMYK"))
        assert read_image(cmyk, "keep").shape == (3, 4, 6)
        palette = colours.quantize(16)
        palette.info["transparency"] = bytes(range(16))
        assert read_image(save(tmp_path / "p.png", palette), "keep").shape == (4, 4, 6)
        with pytest.raises(ValueError, match="read_image needs mode as one of 'RGB', 'L', 'RGBA', 'keep', got 'HSV'"):
            read_image(cmyk, "HSV")

    def test_numbers_beyond_grey_levels(self, tmp_path: Path) -> None:
        path = save(tmp_path / "f.tiff", Image.fromarray(np.full((2, 2), 0.5, np.float32)))
        with pytest.raises(ValueError, match=r"f.tiff: .*its pixels \(mode F\) are no grey levels of 8 or 16 bits"):
            read_image(path)

    def test_upright_by_exif(self, tmp_path: Path) -> None:
        turns = {
            1: lambda a: a,
            2: lambda a: a[:, ::-1],
            3: lambda a: a[::-1, ::-1],
            4: lambda a: a[::-1],
            5: lambda a: a.swapaxes(0, 1),
            6: lambda a: np.rot90(a, -1),
            7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
            8: lambda a: np.rot90(a),
        }
        for orientation, turn in turns.items():
            exif = Image.Exif()
            exif[0x0112] = orientation
            found = read_image(save(tmp_path / "a.png", exif=exif))
            np.testing.assert_array_equal(found, turn(picture()).transpose(2, 0, 1))

    def test_first_picture_of_an_animation(self, tmp_path: Path) -> None:
        frames = [Image.new("L", (4, 4), 10), Image.new("L", (4, 4), 200)]
        path = save(tmp_path / "a.gif", frames[0], save_all=True, append_images=frames[1:])
        np.testing.assert_array_equal(read_image(path, "L"), np.full((1, 4, 4), 10))

    def test_no_such_file(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"nothing\.png"):
            read_image(tmp_path / "nothing.png")

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"<html>",
            encoded("PNG")[:60],
            encoded("JPEG")[:300],
            encoded("GIF")[:40],
            encoded("BMP")[:70],
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        ],
        ids=["empty", "page", "png", "jpeg", "gif", "bmp", "program"],
    )
    def test_damaged_files_are_named(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "a.png"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: no image that can be read, or a damaged one"):
            read_image(path)

    def test_bombs_are_refused_by_their_header(self, tmp_path: Path) -> None:
        """20,000 by 20,000 pixels of one colour are 400 KB as a file and 1.2 GB as an array."""

        def chunk(kind: bytes, data: bytes) -> bytes:
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

        for side in (9_000, 12_000, 20_000):
            header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
            path = tmp_path / f"{side}.png"
            path.write_bytes(
                b"\x89PNG\r\n\x1a\n"
                + chunk(b"IHDR", header)
                + chunk(b"IDAT", zlib.compress(bytes(10_000)))
                + chunk(b"IEND", b"")
            )
            tracemalloc.start()
            try:
                with pytest.raises(
                    ValueError, match=rf"{side}.png: (an image of {side:,} by {side:,} pixels, by its header|no image)"
                ):
                    read_image(path)
                assert tracemalloc.get_traced_memory()[1] < 1 << 20
            finally:
                tracemalloc.stop()
        with pytest.raises(
            ValueError, match=r"an image of 6 by 4 pixels, .* more than max_pixels=20; if you trust the file"
        ):
            read_image(save(tmp_path / "small.png"), max_pixels=20)

    def test_without_pillow(self, tmp_path: Path) -> None:
        code = "import sys; sys.modules['PIL'] = None\nimport tapenet as tn\ntn.data.read_image('a.png')"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert "ImportError: reading images needs Pillow: pip install 'tapenet[images]'" in done.stderr


class TestImageFolder:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        for number, name in enumerate(
            ["cat/b.png", "cat/a.png", "cat/deep/er/c.PNG", "bee/x.bmp", "zebra/1.png", "zebra/2.png"]
        ):
            save(tmp_path / name, Image.new("RGB", (8 + number, 8), (40 * number, 0, 0)))
        (tmp_path / "cat" / "notes.txt").write_text("no image")
        (tmp_path / "cat" / ".hidden.png").write_text("no image")
        (tmp_path / ".git").mkdir()
        (tmp_path / "loose.png").write_text("in no class")
        return tmp_path

    def test_classes_and_files(self, root: Path) -> None:
        data = image_folder(root)
        assert data.classes == ("bee", "cat", "zebra")
        assert data.labels.tolist() == [0, 1, 1, 1, 2, 2]
        names = [os.path.relpath(path, root).replace(os.sep, "/") for path in data.paths]
        assert names == ["bee/x.bmp", "cat/a.png", "cat/b.png", "cat/deep/er/c.PNG", "zebra/1.png", "zebra/2.png"]
        image, label = data[3]
        np.testing.assert_array_equal(image, np.broadcast_to(np.reshape([80, 0, 0], (3, 1, 1)), (3, 8, 10)))
        assert label == 1
        assert repr(data).endswith("6 images of 3 classes)")

    def test_chosen_classes_in_their_order(self, root: Path) -> None:
        data = image_folder(root, classes=["zebra", "bee"], mode="L", target_transform=lambda label: label * 10)
        assert [label for _, label in data] == [0, 0, 10]
        assert data[0][0].shape == (1, 8, 12)
        with pytest.raises(ValueError, match="has no subfolder 'dog'; there are: bee, cat, zebra"):
            image_folder(root, classes=["dog"])

    @pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
    def test_links_are_followed_once(self, root: Path) -> None:
        (root / "cat" / "again").symlink_to(root / "cat")
        (root / "bee" / "other").symlink_to(root / "zebra")
        assert image_folder(root).labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2]

    def test_with_the_loader(self, root: Path) -> None:
        def run(workers: int) -> list[Any]:
            data = image_folder(root, transform=Compose([Resize((8, 8)), RandomCrop(4), ToFloat()]))
            return list(DataLoader(data, batch_size=4, shuffle=True, seed=0, workers=workers))

        (images, labels), (rest, _) = run(0)
        assert (images.shape, images.dtype, rest.shape) == ((4, 3, 4, 4), np.float32, (2, 3, 4, 4))
        assert labels.dtype == np.int64
        for (xs, ys), (again, same) in zip(run(0), run(2), strict=True):
            np.testing.assert_array_equal(xs, again)
            np.testing.assert_array_equal(ys, same)
        alone = image_folder(root, transform=RandomCrop(4))
        np.testing.assert_array_equal(alone[1][0], alone[1][0])
        plain = image_folder(root, transform=lambda image: image[:, :4, :4])
        assert not plain.is_random
        assert DataLoader(plain, batch_size=6).__iter__().__next__()[0].shape == (6, 3, 4, 4)

    def test_folders_of_something_else(self, tmp_path: Path) -> None:
        with pytest.raises(
            FileNotFoundError, match=r"nowhere: no such folder in .*with a subfolder of images for each class"
        ):
            image_folder(tmp_path / "nowhere")
        with pytest.raises(ValueError, match=r"has no subfolders; .*read_image\(path\)"):
            image_folder(tmp_path)
        (tmp_path / "empty").mkdir()
        with pytest.raises(ValueError, match=r"empty holds no image \(files ending in .bmp, "):
            image_folder(tmp_path)

    def test_a_damaged_file_is_named_when_it_is_read(self, root: Path) -> None:
        (root / "cat" / "b.png").write_bytes(encoded("PNG")[:50])
        data = image_folder(root, transform=Resize((8, 8)))
        with pytest.raises(ValueError, match=re.escape(str(root / "cat" / "b.png"))):
            list(DataLoader(data, batch_size=2))
        assert data[1][0].shape == (3, 8, 8)


def spoilt_images(path: Path, rounds: int) -> None:
    """Bytes changed, cut off or put in: an image, or a clear error, and no more memory than the header allows."""
    rng = random.Random(0)
    kinds = ["PNG", "JPEG", "GIF", "BMP", "PPM", "TIFF", "WEBP"]
    whole = {kind: encoded(kind) for kind in kinds}
    errors = 0
    for _ in range(rounds):
        data = bytearray(whole[rng.choice(kinds)])
        for _ in range(rng.randint(1, 4)):
            place = rng.randrange(len(data))
            change = rng.randrange(3)
            if change == 0:
                data[place] = rng.randrange(256)
            elif change == 1:
                del data[place + 1 :]
            else:
                data[place:place] = rng.randbytes(3)
        path.write_bytes(data)
        tracemalloc.start()
        try:
            message = problem(path)
            assert tracemalloc.get_traced_memory()[1] < 1 << 23
        finally:
            tracemalloc.stop()
        if message:
            errors += 1
            assert message.startswith(f"{path}: ")
    assert rounds // 5 < errors < rounds


def problem(path: Path) -> str:
    try:
        image = read_image(path, "keep", max_pixels=10_000)
    except ValueError as error:
        return str(error)
    assert image.dtype == np.uint8
    assert image.ndim == 3
    return ""


@pytest.mark.filterwarnings("ignore")
def test_spoilt_images(tmp_path: Path) -> None:
    spoilt_images(tmp_path / "image", 200)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_many_spoilt_images(tmp_path: Path) -> None:
    spoilt_images(tmp_path / "image", 3_000)
