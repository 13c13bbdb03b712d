"""A U-Net takes the noise out of pictures.

What comes down to few pixels is seen as a whole, and what was seen on the way stays beside it for the way up (Ronneberger,
Fischer and Brox, "U-Net: convolutional networks for biomedical image segmentation", 2015). Digits are drowned in noise as
strong as themselves; the network says what the noise is.

    python examples/denoising_unet.py [--out FOLDER]
"""

from typing import Any

import numpy as np
import pictures

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim

NOISE = 0.5


def convolutions(inputs: int, outputs: int) -> nn.Sequential:
    """Two convolutions that keep the size."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.SiLU(), nn.Conv2d(outputs, outputs, 3, padding=1), nn.SiLU()
    )


class UNet(nn.Module):
    """Pictures (n, 1, 28, 28) without their noise: at full size, half and a quarter."""

    def __init__(self, width: int = 12) -> None:
        self.down = nn.ModuleList([convolutions(1, width), convolutions(width, 2 * width)])
        self.bottom = convolutions(2 * width, 4 * width)
        self.widen = nn.ModuleList(
            [nn.ConvTranspose2d(4 * width, 2 * width, 2, 2), nn.ConvTranspose2d(2 * width, width, 2, 2)]
        )
        self.up = nn.ModuleList([convolutions(4 * width, 2 * width), convolutions(2 * width, width)])
        self.last = nn.Conv2d(width, 1, 1)

    def forward(self, x: Any) -> Any:
        h, beside = x, []
        for down in self.down:
            beside.append(down(h))
            h = F.max_pool2d(beside[-1], 2)
        h = self.bottom(h)
        for widen, up in zip(self.widen, self.up, strict=True):
            h = up(tn.concatenate([widen(h), beside.pop()], axis=1))
        return x - self.last(h)


class Noisy:
    """Batches of pictures with noise and without, in another order and with new noise each time."""

    def __init__(self, pictures: Any, batch: int, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.batches = tn.data.batches(pictures, batch_size=batch, shuffle=True, seed=self.rng)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Any:
        for clean in self.batches:
            yield noisy(clean, self.rng), clean


def noisy(clean: Any, rng: np.random.Generator) -> Any:
    """Pictures with noise of standard deviation NOISE on every pixel."""
    return clean + rng.normal(scale=NOISE, size=clean.shape).astype(np.float32)


def ratio(x: Any, clean: Any) -> float:
    """The peak signal-to-noise ratio in decibels; 3 more is half the squared error."""
    return float(-20 * np.log10(tn.metrics.RMSE()(x, clean)))


def main() -> None:
    """Train, and try on test pictures."""
    folder = pictures.folder(__doc__)
    tn.training.seed(0)
    data = tn.data.digits()
    net = UNet()
    epochs, batch = 20, 50
    train = Noisy(data.train_images, batch, seed=0)
    adam = optim.AdamW(lr=optim.one_cycle(5e-3, epochs * len(train), rise=0.15))
    tn.training.fit(net, F.mse_loss, adam, train, epochs=epochs)

    clean = data.test_images
    given = noisy(clean, np.random.default_rng(1))
    told = tn.training.predict(net, given)
    pictures.images(
        folder / "denoising_unet.svg", [x[:16, 0] for x in (given, told, clean)], ["given", "network", "original"]
    )
    before, after = ratio(given, clean), ratio(told, clean)
    print(
        f"of test pictures the signal stands {before:.1f} dB above the noise as given, {after:.1f} dB after the network"
    )
    assert after > before + 11.5, after


if __name__ == "__main__":
    main()
