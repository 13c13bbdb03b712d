"""Changes of images: what each does, on one image and on many, and beside PyTorch and Pillow."""

import colorsys
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tapenet.data import ArrayDataset, DataLoader
from tapenet.data.transforms import (
    CenterCrop,
    ColorJitter,
    Compose,
    Grayscale,
    Normalize,
    OneHot,
    Pad,
    RandomAffine,
    RandomApply,
    RandomChoice,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomRotation,
    RandomVerticalFlip,
    Resize,
    ToFloat,
)
from tapenet.data.transforms.affine import inverse, warped

ALL: list[Callable[..., Any]] = [
    ToFloat(),
    Normalize([0.5, 0.4, 0.3], 0.2),
    Pad(2, fill=1),
    CenterCrop((5, 9)),
    RandomCrop(6, padding=1),
    RandomHorizontalFlip(),
    RandomVerticalFlip(p=0.3),
    RandomErasing(p=1, value="random"),
    Grayscale(3),
    ColorJitter(0.5, 0.5, 0.5, 0.5),
    Resize((5, 11)),
    RandomResizedCrop(4),
    RandomRotation(30, interpolation="bilinear"),
    RandomAffine(20, (0.2, 0.2), (0.5, 2), (-5, 5, -5, 5), fill=[1, 2, 3]),
    RandomApply([RandomErasing(p=1)], p=0.7),
    RandomChoice([RandomHorizontalFlip(), Grayscale(3)], p=[0.3, 0.7]),
    Compose([RandomCrop(6), RandomHorizontalFlip(), ToFloat()]),
]


def pictures(n: int = 4, height: int = 8, width: int = 10, dtype: Any = np.float32) -> NDArray[Any]:
    values = np.random.default_rng(0).random((n, 3, height, width))
    return (values * 255).astype(dtype) if np.dtype(dtype).kind == "u" else values.astype(dtype)


@pytest.mark.parametrize("transform", ALL, ids=lambda transform: type(transform).__name__)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
class TestAll:
    def test_generators_decide_and_nothing_is_written_to(self, transform: Callable[..., Any], dtype: Any) -> None:
        images = pictures(dtype=dtype)
        if isinstance(transform, Normalize) and dtype == np.uint8:
            with pytest.raises(
                TypeError, match=r"Normalize needs images of floats, got uint8; put ToFloat\(\) before it"
            ):
                transform(images)
            return
        before = images.copy()
        images.flags.writeable = False
        for given_ in (images, images[0]):
            first = transform(given_, np.random.default_rng(1))
            np.testing.assert_array_equal(transform(given_, rng=np.random.default_rng(1)), first, strict=True)
            assert first.ndim == given_.ndim
            made = (
                np.float32
                if isinstance(transform, (ToFloat, Compose)) and not isinstance(transform, RandomApply)
                else dtype
            )
            assert first.dtype == made
        np.testing.assert_array_equal(images, before)

    def test_a_batch_of_one_is_the_image(self, transform: Callable[..., Any], dtype: Any) -> None:
        if isinstance(transform, Normalize):
            dtype = np.float64
        for image in pictures(dtype=dtype):
            for seed in range(3):
                alone = transform(image, np.random.default_rng(seed))
                if not isinstance(transform, (RandomApply, RandomChoice)):  # they draw for one as for none other
                    together = transform(image[np.newaxis], np.random.default_rng(seed))
                    np.testing.assert_array_equal(together[0], alone, strict=True)
                changed, label = transform((image, 7), np.random.default_rng(seed))
                np.testing.assert_array_equal(changed, alone)
                assert label == 7


class TestRandomness:
    def test_images_of_a_batch_have_draws_of_their_own(self) -> None:
        images = np.repeat(pictures(1), 64, 0)
        for transform in ALL:
            if type(transform).__name__.startswith("Random") or isinstance(transform, ColorJitter):
                changed = transform(images, np.random.default_rng(0))
                assert len({image.tobytes() for image in changed}) > 1, transform

    def test_probabilities(self) -> None:
        images = np.arange(2.0).reshape(1, 1, 1, 2).repeat(10_000, 0)
        for transform in (RandomHorizontalFlip(0.3), RandomApply([RandomHorizontalFlip(1)], 0.3)):
            flipped = transform(images, np.random.default_rng(0))[:, 0, 0, 0].mean()
            assert abs(flipped - 0.3) < 4 * math.sqrt(0.3 * 0.7 / 10_000)
        chosen = RandomChoice([RandomHorizontalFlip(1), RandomHorizontalFlip(0)], p=[0.8, 0.2])(
            images, np.random.default_rng(0)
        )
        assert abs(chosen[:, 0, 0, 0].mean() - 0.8) < 4 * math.sqrt(0.8 * 0.2 / 10_000)

    def test_every_place_of_a_crop_is_as_likely(self) -> None:
        images = np.arange(20.0).reshape(1, 1, 4, 5).repeat(12_000, 0)
        corners = RandomCrop((2, 3))(images, np.random.default_rng(0))[:, 0, 0, 0]
        counts = np.bincount(corners.astype(int), minlength=20).reshape(4, 5)
        assert counts[:3, :3].sum() == 12_000
        expected = 12_000 / 9
        # Chi-squared with 8 degrees of freedom exceeds 26.1 once in a thousand times; the seed is fixed.
        assert ((counts[:3, :3] - expected) ** 2 / expected).sum() < 26.1

    def test_with_the_loader(self) -> None:
        images, labels = pictures(12), np.arange(12)
        change = Compose([RandomCrop(6, padding=2), RandomHorizontalFlip(), ColorJitter(0.2, 0.2, 0.2, 0.1)])
        data = ArrayDataset(images, labels).map(change)

        def run(workers: int) -> list[NDArray[Any]]:
            loader = DataLoader(data, batch_size=5, shuffle=True, seed=3, workers=workers)
            return [xs for _ in range(2) for xs, _ in loader]

        first = run(0)
        assert [len(xs) for xs in first] == [5, 5, 2] * 2
        for one, two in zip(first, run(2), strict=True):
            np.testing.assert_array_equal(one, two)
        whole = DataLoader(ArrayDataset(images, labels), batch_size=12, seed=3, transform=change)
        epochs = [(xs, ys.tolist()) for _ in range(2) for xs, ys in whole]
        assert epochs[0][1] == labels.tolist()
        assert (epochs[0][0] != epochs[1][0]).any()
        (again, _), *_ = DataLoader(ArrayDataset(images, labels), batch_size=12, seed=3, transform=change)
        np.testing.assert_array_equal(again, epochs[0][0])


class TestCompose:
    def test_plain_functions(self) -> None:
        def noisy(image: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
            return image + rng.normal()

        change = Compose([lambda image: image * 2, noisy])
        found = change(np.zeros((1, 2, 2)), np.random.default_rng(5))
        np.testing.assert_array_equal(found, np.full((1, 2, 2), np.random.default_rng(5).normal()))

    def test_without_a_generator_calls_differ(self) -> None:
        noise = RandomErasing(p=1, value="random")
        assert (noise(pictures()) != noise(pictures())).any()

    def test_shapes_that_change_for_some_of_a_batch(self) -> None:
        sometimes = RandomApply([CenterCrop(2)], p=0.5)
        assert {sometimes(pictures()[0], np.random.default_rng(seed)).shape for seed in range(9)} == {
            (3, 8, 10),
            (3, 2, 2),
        }
        with pytest.raises(ValueError, match=r"RandomApply makes float32 \(3, 2, 2\) of some images .*dataset.map"):
            sometimes(pictures(), np.random.default_rng(0))

    def test_they_show_how_they_were_made(self) -> None:
        assert repr(Compose([Pad(2), ToFloat()])) == "Compose([Pad(2, fill=0, mode='constant'), ToFloat()])"
        assert repr(RandomHorizontalFlip(0.25)) == "RandomHorizontalFlip(p=0.25)"
        assert repr(OneHot(3)) == "OneHot(3)"


class TestCutting:
    def test_pad_counts_as_torchvision_does(self) -> None:
        image = np.arange(6).reshape(1, 2, 3)
        np.testing.assert_array_equal(Pad((1, 2, 3, 4))(image)[0, 2:4, 1:4], image[0])
        assert Pad((1, 2, 3, 4))(image).shape == (1, 8, 7)
        assert Pad((1, 2))(image).shape == (1, 6, 5)
        row = np.array([[[1, 2, 3, 4]]])
        assert Pad((2, 0), mode="reflect")(row).tolist() == [[[3, 2, 1, 2, 3, 4, 3, 2]]]
        assert Pad((2, 0), mode="symmetric")(row).tolist() == [[[2, 1, 1, 2, 3, 4, 4, 3]]]
        assert Pad((1, 0), mode="edge")(row).tolist() == [[[1, 1, 2, 3, 4, 4]]]
        np.testing.assert_array_equal(Pad(1, fill=[7, 8, 9])(pictures()[0])[:, 0, 0], [7, 8, 9])

    def test_center_crop(self) -> None:
        image = np.arange(25).reshape(1, 5, 5)
        assert CenterCrop(3)(image).tolist() == [[[6, 7, 8], [11, 12, 13], [16, 17, 18]]]
        assert CenterCrop((1, 7))(image).tolist() == [[[0, 10, 11, 12, 13, 14, 0]]]

    def test_flips(self) -> None:
        images = pictures()
        np.testing.assert_array_equal(RandomHorizontalFlip(1)(images), images[..., ::-1])
        np.testing.assert_array_equal(RandomVerticalFlip(1)(images), images[:, :, ::-1])
        np.testing.assert_array_equal(RandomVerticalFlip(0)(images), images)

    def test_crop_of_all(self) -> None:
        images = pictures()
        np.testing.assert_array_equal(RandomCrop((8, 10))(images), images)
        inside = RandomCrop((8, 10), padding=3, fill=9)(images, np.random.default_rng(0))
        assert (inside == 9).any()
        with pytest.raises(ValueError, match=r"RandomCrop of \(9, 9\) needs larger images, got \(8, 10\)"):
            RandomCrop(9)(images)

    def test_erasing(self) -> None:
        images = np.ones((2000, 1, 20, 20))
        holes = RandomErasing(p=1, scale=(0.1, 0.2), ratio=(0.5, 2))(images, np.random.default_rng(0)) == 0
        areas = holes.sum((1, 2, 3))
        assert areas.min() >= 0.1 * 400 * 0.85
        assert areas.max() <= 0.2 * 400 * 1.15
        high, wide = holes.any((1, 3)).sum(1), holes.any((1, 2)).sum(1)
        np.testing.assert_array_equal(high * wide, areas)
        assert (high / wide).min() >= 0.5 * 0.8
        assert (high / wide).max() <= 2 * 1.25
        assert (RandomErasing(p=0)(images) == 1).all()
        noise = RandomErasing(p=1, scale=(0.9, 0.9), ratio=(1, 1), value="random")(
            np.zeros((1, 40, 40), np.uint8), np.random.default_rng(0)
        )
        assert noise.max() > 240


class TestValues:
    def test_to_float(self) -> None:
        for dtype in (np.uint8, np.uint16, np.int16):
            top = np.iinfo(dtype).max
            np.testing.assert_array_equal(
                ToFloat()(np.full((1, 1, 1), top, dtype)), np.ones((1, 1, 1), np.float32), strict=True
            )
        np.testing.assert_array_equal(
            ToFloat()(np.full((1, 1, 1), 0.3)), np.full((1, 1, 1), np.float32(0.3)), strict=True
        )

    def test_normalize(self) -> None:
        images = pictures(dtype=np.float64)
        mean, std = (0.1, 0.2, 0.3), (1, 2, 4)
        found = Normalize(mean, std)(images)
        np.testing.assert_array_equal(found, (images - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1)))

    def test_one_hot(self) -> None:
        labels = np.array([[0, 2], [1, 1]])
        np.testing.assert_array_equal(OneHot(3)(labels), np.eye(3, dtype=np.float32)[labels], strict=True)
        for wrong in (-1, 3, 0.5):
            with pytest.raises(ValueError, match=r"OneHot\(3\) got label .*; labels are integers from 0 to 2"):
                OneHot(3)(wrong)


class TestColour:
    def test_grey(self) -> None:
        images = pictures(dtype=np.uint8)
        grey = Grayscale()(images)
        assert grey.shape == (4, 1, 8, 10)
        expected = 0.2989 * images[:, 0].astype(float) + 0.587 * images[:, 1] + 0.114 * images[:, 2]
        assert np.abs(grey[:, 0] - expected).max() <= 0.5 + 1e-4
        np.testing.assert_array_equal(Grayscale(3)(grey), np.repeat(grey, 3, 1))

    def test_brightness_contrast_and_saturation(self) -> None:
        image = pictures(dtype=np.float64)[0] * 0.5
        grey = np.einsum("chw,c->hw", image, [0.2989, 0.587, 0.114])
        for name, expected in (
            ("brightness", 1.5 * image),
            ("contrast", 1.5 * image - 0.5 * grey.mean()),
            ("saturation", 1.5 * image - 0.5 * grey),
        ):
            found = ColorJitter(**{name: (1.5, 1.5)})(image)
            np.testing.assert_allclose(found, np.clip(expected, 0, 1), atol=1e-12)

    @settings(max_examples=40)
    @given(colour=st.tuples(*[st.integers(0, 255)] * 3), turn=st.floats(-0.5, 0.5))
    def test_hue_is_that_of_colorsys(self, colour: tuple[int, int, int], turn: float) -> None:
        image = np.reshape(np.array(colour) / 255, (3, 1, 1))
        h, s, v = colorsys.rgb_to_hsv(*(channel / 255 for channel in colour))
        found = ColorJitter(hue=(turn, turn))(image)
        np.testing.assert_allclose(found.ravel(), colorsys.hsv_to_rgb((h + turn) % 1, s, v), atol=1e-12)

    def test_they_are_drawn_from_the_range_in_any_order(self) -> None:
        images = np.full((4000, 1, 1, 1), 0.25)
        found = ColorJitter(brightness=0.5)(images, np.random.default_rng(0)).ravel() / 0.25
        assert found.min() >= 0.5
        assert found.max() <= 1.5
        assert abs(found.mean() - 1) < 4 * math.sqrt(1 / 12 / 4000)
        both = ColorJitter(brightness=(2, 2), contrast=(0, 0))(
            np.full((50, 1, 1, 2), [0.2, 0.9]), np.random.default_rng(0)
        )
        assert len(set(np.round(both[:, 0, 0, 0], 6))) == 2

    def test_grey_images_and_others(self) -> None:
        grey = pictures()[:, :1]
        np.testing.assert_array_equal(ColorJitter(saturation=0.9, hue=0.5)(grey, np.random.default_rng(0)), grey)
        for transform in (ColorJitter(), Grayscale()):
            with pytest.raises(ValueError, match=r"needs images of 1 or 3 channels.*channels come first"):
                transform(np.zeros((2, 4, 4)))


class TestResize:
    def test_sizes(self) -> None:
        image = pictures(1, 480, 640)[0]
        assert Resize(224)(image).shape == (3, 224, 298)
        assert Resize((10, 20))(image).shape == (3, 10, 20)
        np.testing.assert_array_equal(Resize(480)(image), image)

    @pytest.mark.parametrize("antialias", [False, True])
    @pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
    @pytest.mark.parametrize("size", [(3, 4), (20, 7), (8, 31), (1, 1), (16, 20)])
    def test_like_pytorch(self, interpolation: Any, antialias: bool, size: tuple[int, int]) -> None:
        torch = pytest.importorskip("torch")
        images = pictures(2, dtype=np.float64)
        options = {} if interpolation == "nearest" else {"antialias": antialias, "align_corners": False}
        expected = torch.nn.functional.interpolate(torch.tensor(images), size, mode=interpolation, **options).numpy()
        np.testing.assert_allclose(Resize(size, interpolation, antialias)(images), expected, atol=1e-12)

    @pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
    @pytest.mark.parametrize("size", [(3, 4), (20, 7), (8, 31)])
    def test_like_pillow(self, interpolation: Any, size: tuple[int, int]) -> None:
        image_module = pytest.importorskip("PIL.Image")
        image = pictures(1, 30, 24, np.uint8)[0]
        resampling = getattr(image_module.Resampling, interpolation.upper())
        expected = np.asarray(image_module.fromarray(image.transpose(1, 2, 0)).resize(size[::-1], resampling), int)
        found = Resize(size, interpolation)(image).astype(int)
        assert np.abs(found - expected.transpose(2, 0, 1)).max() <= 1

    def test_resized_crops(self) -> None:
        image = np.stack([np.arange(40.0)[:, np.newaxis].repeat(50, 1), np.arange(50.0)[np.newaxis].repeat(40, 0)])
        found = RandomResizedCrop(2, scale=(0.25, 0.25), ratio=(1, 1), antialias=False)(
            image[np.newaxis].repeat(300, 0), np.random.default_rng(0)
        )
        # A square of a quarter of the area: its two pixels are half its side, 22, apart, whatever place it has.
        np.testing.assert_allclose(found[:, 0, 1] - found[:, 0, 0], 11, atol=1e-9)
        np.testing.assert_allclose(found[:, 1, :, 1] - found[:, 1, :, 0], 11, atol=1e-9)
        np.testing.assert_allclose(found[:, 0].min(), 5, atol=1e-9)
        np.testing.assert_allclose(found[:, 0].max(), 34, atol=1e-9)
        # No square of all the area fits: the middle one.
        middle = RandomResizedCrop(40, scale=(1, 1), ratio=(1, 1))(image, np.random.default_rng(0))
        np.testing.assert_array_equal(middle, image[:, :, 5:45])


class TestWarping:
    @pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
    @pytest.mark.parametrize(
        ("angle", "move", "scale", "shear"),
        [
            (0, (0, 0), 1, (0, 0)),
            (30, (0, 0), 1, (0, 0)),
            (0, (2, -1), 1, (0, 0)),
            (10, (1, 2), 1.3, (0, 0)),
            (-70, (0, 1), 0.6, (12, -7)),
        ],
    )
    def test_like_grid_sample(self, interpolation: Any, angle: float, move: Any, scale: float, shear: Any) -> None:
        """What torchvision does with tensors, by way of PyTorch."""
        torch = pytest.importorskip("torch")
        images = pictures(1, dtype=np.float64)
        where = inverse(angle, move, scale, shear)
        found = warped(images[0], where, interpolation, np.zeros((1, 1, 1)))
        height, width = images.shape[2:]
        # PyTorch counts from -1 to 1 from edge to edge.
        a, b, c, d, e, f = where
        rows = [[a, b * height / width, 2 * c / width], [d * width / height, e, 2 * f / height]]
        theta = torch.tensor([rows], dtype=torch.float64)
        grid = torch.nn.functional.affine_grid(theta, (1, 3, height, width), align_corners=False)
        expected = torch.nn.functional.grid_sample(
            torch.tensor(images), grid, interpolation, align_corners=False
        ).numpy()[0]
        np.testing.assert_allclose(found, expected, atol=1e-9)

    def test_the_matrix_undoes_turn_scale_shear_and_move(self) -> None:
        """Forward, as torchvision's documentation has it: T C R(a) S(x) S(y) scale C^-1."""
        angle, move, scale, (along, down) = 25.0, (3.0, -2.0), 1.7, (8.0, -11.0)
        r, x, y = (math.radians(v) for v in (angle, along, down))
        forward = (
            np.array([[math.cos(r), -math.sin(r)], [math.sin(r), math.cos(r)]])
            @ np.array([[1, 0], [-math.tan(y), 1]])
            @ np.array([[1, -math.tan(x)], [0, 1]])
            * scale
        )
        a, b, c, d, e, f = inverse(angle, move, scale, (along, down))
        np.testing.assert_allclose(np.array([[a, b], [d, e]]) @ forward, np.eye(2), atol=1e-12)
        np.testing.assert_allclose(np.array([[a, b], [d, e]]) @ move + (c, f), 0, atol=1e-12)

    def test_directions(self) -> None:
        image = np.arange(9).reshape(1, 3, 3)
        np.testing.assert_array_equal(RandomRotation((90, 90))(image)[0], np.rot90(image[0]))
        np.testing.assert_array_equal(RandomAffine((90, 90))(image)[0], np.rot90(image[0], -1))
        for degrees, bound in ((30, 30), ((10, 20), 20)):
            for seed in range(20):
                turned = RandomRotation(degrees, interpolation="bilinear", fill=5)(
                    np.full((1, 8, 8), 5.0), np.random.default_rng(seed)
                )
                np.testing.assert_allclose(turned, 5)
            assert -RandomRotation(degrees).degrees[0] == bound

    def test_rotation_like_pillow(self) -> None:
        image_module = pytest.importorskip("PIL.Image")
        image = pictures(1, 21, 21, np.uint8)[0, 0]
        for angle in (15, 90, -40, 180):
            expected = np.asarray(image_module.fromarray(image).rotate(angle))
            found = RandomRotation((angle, angle))(image[np.newaxis])[0]
            assert (found == expected).mean() > 0.98  # where a pixel lies between two, they may differ

    def test_moves_are_whole_pixels_within_their_shares(self) -> None:
        image = np.zeros((1, 11, 11))
        image[0, 5, 5] = 1
        moved = RandomAffine(0, translate=(0.2, 0.4))(image[np.newaxis].repeat(500, 0), np.random.default_rng(0))
        _, _, rows, columns = np.nonzero(moved)
        assert len(rows) == 500
        assert set(columns - 5) == set(range(-2, 3))
        assert set(rows - 5) == set(range(-4, 5))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Pad((1, 2, 3)), ValueError, "Pad needs padding as one number"),
        (lambda: Pad(1, mode="wrap"), ValueError, "Pad needs mode as one of"),  # type: ignore[arg-type]
        (lambda: Pad(1, fill=[1, 2])(pictures()), ValueError, "needs fill as one number or one for each of 3 channels"),
        (lambda: CenterCrop(0), ValueError, "CenterCrop needs size as one number"),
        (lambda: RandomHorizontalFlip(2), ValueError, "RandomHorizontalFlip needs p from 0 to 1, got 2"),
        (lambda: RandomChoice([ToFloat()], p=[0.5]), ValueError, "RandomChoice needs p as 1 probabilities"),
        (lambda: RandomErasing(scale=(0.5, 2)), ValueError, "RandomErasing needs scale as shares"),
        (lambda: RandomErasing(ratio=(2, 1)), ValueError, "RandomErasing needs ratio as one number or"),
        (lambda: Normalize(0, 0), ValueError, "std above 0"),
        (lambda: Normalize([1, 2], 1)(pictures()), ValueError, "one for each of 3 channels"),
        (lambda: Grayscale(2), ValueError, "Grayscale gives 1 or 3 channels"),
        (lambda: ColorJitter(brightness=-1), ValueError, "ColorJitter needs brightness as a number of at least 0"),
        (lambda: ColorJitter(hue=0.6), ValueError, "ColorJitter needs hue within|hue as"),
        (lambda: Resize(5, "lanczos"), ValueError, "Resize needs interpolation as one of"),  # type: ignore[arg-type]
        (lambda: Resize(0), ValueError, "Resize needs size"),
        (lambda: Resize(5)(np.zeros((3, 0, 4))), ValueError, "no pixels|cannot be resized"),
        (lambda: RandomAffine(5, translate=(0.1, 2)), ValueError, "RandomAffine needs translate as two shares"),
        (lambda: RandomAffine(5, shear=(1, 2, 3)), ValueError, "RandomAffine needs shear as one, two or four"),
        (lambda: RandomRotation(5, "bicubic"), ValueError, "RandomRotation needs interpolation as"),  # type: ignore[arg-type]
        (lambda: RandomRotation(-5), ValueError, "RandomRotation needs degrees as a number of at least 0"),
        (lambda: ToFloat()(np.zeros((4, 4))), ValueError, r"ToFloat needs an image \(C, H, W\) .*image\[np.newaxis\]"),
        (lambda: RandomCrop(2)(np.zeros((8, 8, 3))), ValueError, r"channels seem to come last; .*np.moveaxis"),
        (lambda: ToFloat()("image.png"), TypeError, "ToFloat needs images as an array of numbers, got str"),
    ],
)  # fmt: skip
def test_wrong_calls(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
