"""Models that make something: images, numbers, samples."""

from __future__ import annotations

from typing import Any

import numpy as np

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn
from tapenet.drawing.picture import Picture
from tests.drawing.gallery.entry import entry
from tests.drawing.gallery.networks import UNet
from tests.drawing.models import images


class VAE(nn.Module):
    def __init__(self) -> None:
        self.encoder = nn.Sequential(nn.Linear(64, 32), nn.ReLU())
        self.mean, self.log_variance = nn.Linear(32, 4), nn.Linear(32, 4)
        self.decoder = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 64))

    def forward(self, x: Any, noise: Any) -> Any:
        h = self.encoder(x)
        mean, log_variance = self.mean(h), self.log_variance(h)
        z = mean + np.exp(0.5 * log_variance) * noise
        divergence = -0.5 * (1 + log_variance - mean**2 - np.exp(log_variance)).sum(axis=1).mean()
        return F.binary_cross_entropy_with_logits(self.decoder(z), x), divergence


@entry("Variational autoencoder, and its two losses")
def vae() -> Picture:
    x = (images(8, 64) > 0).astype(np.float32)
    net, noise = VAE(), images(8, 4)
    reconstruction, divergence = net(x, noise)
    return tn.draw({"loss": reconstruction + divergence})


class Generator(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 64), nn.Tanh())


class Discriminator(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(64, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))


@entry("GAN: the discriminator is used three times")
def gan() -> Picture:
    G, D = Generator(), Discriminator()
    real, z = images(8, 64), images(8, 4)
    fake = G(z)
    loss_D = F.softplus(-D(real)).mean() + F.softplus(D(fake.detach())).mean()
    loss_G = F.softplus(-D(fake)).mean()
    return tn.draw({"loss_D": loss_D, "loss_G": loss_G})


@entry("WGAN-GP: the slope of the critic is in its loss")
def wgan_gp() -> Picture:
    critic = Discriminator()
    real, fake = images(8, 64), images(8, 64)[::-1]
    between = tn.tensor((real + fake) / 2, requires_grad=True)
    critic(between).sum().backward(create_graph=True)
    slope = np.sqrt((between.grad**2).sum(axis=1))  # type: ignore[operator]
    penalty = ((slope - 1) ** 2).mean()
    return tn.draw({"loss": critic(fake).mean() - critic(real).mean() + 10 * penalty})


class Coupling(nn.Module):
    """Half of the numbers are scaled and shifted by what a network makes of the other half."""

    def __init__(self) -> None:
        self.scale, self.shift = nn.Linear(2, 2), nn.Linear(2, 2)

    def forward(self, x: Any) -> Any:
        kept, changed = x[:, :2], x[:, 2:]
        scale = np.tanh(self.scale(kept))
        changed = changed * np.exp(scale) + self.shift(kept)
        return np.concatenate([changed, kept], axis=1), scale.sum(axis=1)


class Flow(nn.Module):
    def __init__(self, steps: int) -> None:
        self.steps = nn.ModuleList([Coupling() for _ in range(steps)])

    def forward(self, x: Any) -> Any:
        volume = 0
        for step in self.steps:
            x, more = step(x)
            volume = more + volume
        return 0.5 * (x**2).sum(axis=1) - volume


@entry("Normalising flow of four couplings")
def flow() -> Picture:
    return tn.draw(Flow(4), images(16, 4))


@entry("Diffusion: a U-Net that finds the noise")
def diffusion() -> Picture:
    net, image, noise, kept = UNet(2), images(1, 1, 16, 16), images(1, 1, 16, 16) + 1, np.float32(0.6)
    noisy = np.sqrt(kept) * image + np.sqrt(1 - kept) * noise
    return tn.draw({"loss": ((net(noisy) - noise) ** 2).mean()})


@entry("An autoencoder with transposed convolutions")
def autoencoder() -> Picture:
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU(),
        nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1), nn.ReLU(), nn.ConvTranspose2d(8, 1, 4, stride=2, padding=1),
    )  # fmt: skip
    return tn.draw(net, images(1, 1, 16, 16))
