"""A time series by an LSTM: what comes next, and what comes next after that.

The series is that of Mackey and Glass ("Oscillation and chaos in physiological control systems", 1977), made here by
their equation: it looks regular and never repeats. The network learns one step ahead; at the end it goes on from what it
said itself, 200 steps from where the data ends, as the picture shows.

    python examples/time_series.py [--out FOLDER]
"""

from typing import Any

import numpy as np
import pictures

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim

WINDOW, AHEAD = 60, 200


def mackey_glass(count: int, delay: int = 17, fine: int = 10) -> Any:
    """The series at t = 0, 1, 2, ... by dx/dt = 0.2 x(t - delay) / (1 + x(t - delay)^10) - 0.1 x, after its beginnings."""
    x = [1.2] * (delay * fine + 1)
    for _ in range((count + 200) * fine):
        late = x[-delay * fine - 1]
        x.append(x[-1] + (0.2 * late / (1 + late**10) - 0.1 * x[-1]) / fine)
    return np.array(x[::-fine][:count][::-1], np.float32)


class Forecaster(nn.Module):
    """From series (n, time, 1) what comes after each value (n, time, 1), as a change of the last."""

    def __init__(self, units: int = 48) -> None:
        self.read = nn.LSTM(1, units, batch_first=True)
        self.tell = nn.Linear(units, 1)

    def forward(self, x: Any, state: Any = None) -> Any:
        h, _ = self.read(x, state)
        return x + self.tell(h)

    def go_on(self, x: Any, count: int) -> Any:
        """From one series (time,), the `count` values that come after it."""
        told: list[Any] = []
        with tn.no_grad():
            h, state = self.read(x[None, :, None])
            for _ in range(count):
                last = x[-1] if not told else told[-1]
                told.append(last + self.tell(h[:, -1]).numpy()[0, 0])
                h, state = self.read(np.array(told[-1], np.float32).reshape(1, 1, 1), state)
        return np.array(told)


def main() -> None:
    """Train, then go on where the data ends."""
    folder = pictures.folder(__doc__)
    tn.training.seed(0)
    series = mackey_glass(3000)
    series = (series - series.mean()) / series.std()
    known, new = series[:2000], series[2000:]
    windows = np.lib.stride_tricks.sliding_window_view(known, WINDOW + 1)[::3, :, None]
    data = windows[:, :-1], windows[:, 1:]

    net = Forecaster()
    epochs = 60
    adam = optim.Adam(lr=optim.one_cycle(1e-2, epochs * -(-len(windows) // 32)))
    tn.training.fit(net, F.mse_loss, adam, data, epochs=epochs, clip_norm=1.0)

    told = tn.training.predict(net, new[None, :-1, None])[0, WINDOW:, 0]
    error = tn.metrics.RMSE()(told, new[WINDOW + 1 :])
    free = net.go_on(known[-500:], AHEAD)
    far = tn.metrics.RMSE()(free, new[:AHEAD])
    past, future = np.arange(-150, 0), np.arange(AHEAD)
    pictures.lines(
        folder / "time_series.svg",
        {"the series": (np.r_[past, future], series[1850 : 2000 + AHEAD]), "as the network goes on": (future, free)},
        "time since the data ended",
    )
    print(f"one step ahead the error is {error:.4f} standard deviations; over {AHEAD} steps of its own {far:.3f}")
    assert error < 0.01, error
    assert far < 0.5, far


if __name__ == "__main__":
    main()
