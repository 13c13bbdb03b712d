"""The digits that come with the package, and how they were chosen."""

import importlib.resources
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tapenet.data import LabelledImages, digits
from tapenet.data.build_digits import build, choose
from tests.data.published import grey_images, write
from tests.data.test_named import real_mnist

BUNDLED = Path(str(importlib.resources.files("tapenet.data"))) / "digits.npz"


class TestDigits:
    def test_what_they_are(self) -> None:
        data = digits()
        assert isinstance(data, LabelledImages)
        for images, labels in (data[:2], data[2:]):
            assert (images.dtype.name, images.shape) == ("float32", (1000, 1, 28, 28))
            assert (labels.dtype.name, labels.shape) == ("int64", (1000,))
            assert (images.min(), images.max()) == (0, 1)
            assert np.bincount(labels).tolist() == [100] * 10
            # Mixed: every block of 100 holds at least 9 of the 10 digits.
            assert all(len(set(block.tolist())) >= 9 for block in labels.reshape(10, 100))

    def test_no_image_twice(self) -> None:
        data = digits()
        both = np.concatenate([data.train_images, data.test_images]).reshape(2000, -1)
        assert len({image.tobytes() for image in both}) == 2000

    def test_they_are_handwriting(self) -> None:
        """The nearest training image tells the digit: images and labels belong together."""
        data = digits()
        train, test = (images.reshape(1000, -1) for images in (data.train_images, data.test_images))
        distances = (train**2).sum(1) - 2 * test @ train.T
        assert (data.train_labels[distances.argmin(1)] == data.test_labels).mean() > 0.85

    def test_calls_share_nothing(self) -> None:
        digits().train_images[:] = -1
        assert digits().train_images.min() == 0

    def test_size_of_the_file(self) -> None:
        assert BUNDLED.stat().st_size < 400_000


class TestBuildDigits:
    def test_bundled_digits_are_built_from_it(self, tmp_path: Path) -> None:
        folder = real_mnist()
        for name in ("once.npz", "twice.npz"):
            build(str(folder), str(tmp_path / name))
        assert (tmp_path / "once.npz").read_bytes() == (tmp_path / "twice.npz").read_bytes()
        with np.load(BUNDLED, allow_pickle=False) as old, np.load(tmp_path / "once.npz") as new:
            assert old.files == new.files == list(LabelledImages._fields)
            for name in LabelledImages._fields:
                np.testing.assert_array_equal(old[name], new[name], strict=True)

    def test_choose_is_balanced_and_frozen(self) -> None:
        labels = (np.arange(2000) % 10).astype(np.uint8)
        chosen = choose(labels, np.random.RandomState(0))
        assert len(set(chosen.tolist())) == 1000
        assert np.bincount(labels[chosen]).tolist() == [100] * 10
        np.testing.assert_array_equal(chosen, choose(labels, np.random.RandomState(0)))

    def test_only_true_mnist_will_do(self, tmp_path: Path) -> None:
        write(tmp_path, grey_images())
        with pytest.raises(ValueError, match="wrong checksum: expected SHA-256"):
            build(str(tmp_path), str(tmp_path / "digits.npz"))
        assert not (tmp_path / "digits.npz").exists()

    @pytest.mark.parametrize(
        ("argument", "code", "said"),
        [
            ("--help", 0, "usage: python -m tapenet.data.build_digits [-h] [--out FILE] FOLDER"),
            ("nowhere", 1, "nowhere holds 0 of the 4 MNIST files; give their folder"),
        ],
    )
    def test_command_line(self, argument: str, code: int, said: str) -> None:
        command = [sys.executable, "-W", "error", "-m", "tapenet.data.build_digits", argument]
        run = subprocess.run(command, capture_output=True, text=True)
        assert run.returncode == code
        assert (run.stderr if code else run.stdout).startswith(said)
