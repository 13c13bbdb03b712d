"""Policy gradients: a cart learns to balance a pole.

A push from the left or the right each fiftieth of a second keeps the pole up, or does not: the game is over when the pole
leans by 12 degrees or the cart leaves the track. (Barto, Sutton and Anderson, "Neuronlike adaptive elements that can solve
difficult learning control problems", 1983.) A network says how probably it pushes right. What it did is made more probable
by how much better things went than a second network expected (Williams, "Simple statistical gradient-following algorithms
for connectionist reinforcement learning", 1992). The aim is 500 steps, ten seconds.

    python examples/cartpole.py [--out FOLDER]
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pictures

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim

GAMES, STEPS, ROUNDS, GOAL = 32, 64, 250, 500


class CartPole:
    """Several games at once. The state (games, 4) is the cart's place and speed, the pole's angle and its speed."""

    def __init__(self, games: int, rng: np.random.Generator) -> None:
        self.rng = rng
        self.state = rng.uniform(-0.05, 0.05, (games, 4)).astype(np.float32)

    def step(self, right: Any) -> Any:
        """Push each cart to the right or left for a fiftieth of a second. Says which games are over by that; these begin
        again."""
        _, speed, angle, turn = self.state.T
        sine, cosine = np.sin(angle), np.cos(angle)
        # 10 newtons, a cart of 1 kg, a pole of 0.1 kg and half a metre to its middle.
        push = (np.where(right, 10, -10) + 0.05 * turn**2 * sine) / 1.1
        turning = (9.8 * sine - cosine * push) / (0.5 * (4 / 3 - 0.1 * cosine**2 / 1.1))
        moving = push - 0.05 * turning * cosine / 1.1
        self.state = (self.state + 0.02 * np.stack([speed, moving, turn, turning], 1)).astype(np.float32)
        over = (np.abs(self.state[:, 0]) > 2.4) | (np.abs(self.state[:, 2]) > np.radians(12))
        self.state[over] = self.rng.uniform(-0.05, 0.05, (np.count_nonzero(over), 4))
        return over


class Player(nn.Module):
    """States (n, 4) to scores of left and right (n, 2), and how well it goes from there (n,)."""

    def __init__(self, width: int = 64) -> None:
        self.policy = nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, 2))
        self.value = nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, 1))

    def forward(self, state: Any) -> tuple[Any, Any]:
        return self.policy(state), self.value(state)[:, 0]

    def look(self, state: Any) -> tuple[Any, Any]:
        """The same as arrays."""
        with tn.no_grad():
            scores, value = self(state)
        return scores.numpy(), value.numpy()


class Rounds:
    """The player plays while one loops: batches of states, whether it pushed right, and what came of it."""

    def __init__(self, player: Player, rng: np.random.Generator) -> None:
        self.player, self.rng, self.games = player, rng, CartPole(GAMES, rng)
        self.lost: list[int] = []

    def __len__(self) -> int:
        return ROUNDS

    def __iter__(self) -> Iterator[Any]:
        for _ in range(ROUNDS):
            states, rights, overs = [], [], []
            for _ in range(STEPS):
                scores, _ = self.player.look(self.games.state)
                states.append(self.games.state)
                rights.append(self.rng.random(GAMES) < 1 / (1 + np.exp(scores[:, 0] - scores[:, 1])))
                overs.append(self.games.step(rights[-1]))
            self.lost.append(int(np.count_nonzero(overs)))
            # Each step is worth 0.01, and what comes after it a little less than what comes at once.
            total, totals = self.player.look(self.games.state)[1], []
            for over in reversed(overs):
                total = 0.01 + 0.99 * np.where(over, 0, total)
                totals.append(total)
            yield (
                np.concatenate(states),
                np.concatenate(rights).astype(int),
                np.concatenate(totals[::-1]).astype(np.float32),
            )


def main() -> None:
    """Play and learn, then play for the record."""
    folder = pictures.folder(__doc__)
    tn.training.seed(0)
    player = Player()
    adam = optim.Adam(player, lr=optim.linear(0.01, 0.0, ROUNDS))
    rounds = Rounds(player, np.random.default_rng(0))

    def learn(states: Any, rights: Any, totals: Any) -> Any:
        """One update from one round."""
        scores, value = player(states)
        better = totals - value
        acted = F.cross_entropy(scores, rights, reduction="none")
        loss = 10 * (acted * better.detach()).mean() + (better**2).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        return loss

    tn.training.fit(player, None, adam, rounds, step=learn)
    games, lasted = CartPole(100, np.random.default_rng(1)), np.full(100, GOAL)
    for step in range(GOAL):
        scores, _ = player.look(games.state)
        over = games.step(scores[:, 1] > scores[:, 0])
        lasted = np.where(over, np.minimum(lasted, step), lasted)
    curve = np.arange(ROUNDS) + 1, np.array(rounds.lost)
    pictures.lines(folder / "cartpole.svg", {f"games lost in {GAMES * STEPS:,} steps": curve}, "round")
    print(f"a hundred new games last {lasted.mean():.0f} steps of {GOAL} in the mean")
    assert lasted.mean() >= 0.95 * GOAL, lasted


if __name__ == "__main__":
    main()
