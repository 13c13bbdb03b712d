"""A variational autoencoder: handwritten digits from two numbers each.

An encoder says where in a plane a picture lies, and how surely; a decoder draws pictures of points in the plane. Both are
trained for the evidence lower bound (Kingma and Welling, "Auto-encoding variational Bayes", 2014). The picture shows what
the decoder draws all over the plane.

    python examples/vae.py [--out FOLDER]
"""

from typing import Any

import numpy as np
import pictures
from scipy.special import ndtri

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim


class VAE(nn.Module):
    """Pictures (n, 784) to the mean loss in nats: what the picture costs given the point, and the point itself."""

    def __init__(self, latent: int = 2, width: int = 256) -> None:
        self.encoder = nn.Sequential(
            nn.Linear(784, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2 * latent)
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 784)
        )

    def forward(self, x: Any) -> Any:
        mean, log_variance = tn.split(self.encoder(x), 2, axis=1)
        point = mean + tn.exp(log_variance / 2) * tn.random.normal(size=mean.shape, dtype=np.float32)
        drawing = F.binary_cross_entropy_with_logits(self.decoder(point), x, reduction="sum")
        placing = 0.5 * (tn.exp(log_variance) + mean**2 - 1 - log_variance).sum()
        return (drawing + placing) / len(x)


def main() -> None:
    """Train, and draw the plane."""
    folder = pictures.folder(__doc__)
    tn.training.seed(0)
    try:
        data, epochs, goal = tn.data.mnist(download=False), 6, 155.0
    except FileNotFoundError:
        print("MNIST is not on this machine: using the 2,000 bundled digits")
        data, epochs, goal = tn.data.digits(), 60, 200.0
    train, test = (images.reshape(-1, 784) for images in (data.train_images, data.test_images))
    net = VAE()
    adam = optim.Adam(lr=optim.cosine(2e-3, epochs * (len(train) // 100)))
    history = tn.training.fit(net, None, adam, train, epochs=epochs, batch_size=100, validation=test)

    # The plane in steps of equal probability: quantiles of the normal distribution.
    steps = ndtri(np.linspace(0.03, 0.97, 16)).astype(np.float32)
    with tn.no_grad():
        rows = [tn.sigmoid(net.decoder(np.stack([steps, np.full(16, -y)], 1))).numpy() for y in steps]
    pictures.images(folder / "vae.svg", [row.reshape(-1, 28, 28) for row in rows])
    reached = history["val_loss"][-1]
    print(f"a test picture costs {reached:.1f} nats")
    assert reached <= goal, f"{reached:.1f} is above {goal:.1f}"


if __name__ == "__main__":
    main()
