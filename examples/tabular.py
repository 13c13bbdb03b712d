"""Classes from a CSV file: irises by the lengths of their petals and sepals, and a confusion matrix of those not trained on.

python examples/tabular.py [--out FOLDER]
"""

from pathlib import Path

import pictures

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim

#: 150 flowers of three species, as Fisher published them in 1936; any other CSV file with a column to tell will do.
IRISES = Path(tn.data.__file__).with_name("iris.csv")


def network(columns: int, classes: int) -> nn.Sequential:
    """One hidden layer."""
    return nn.Sequential(nn.Linear(columns, 32), nn.ReLU(), nn.Linear(32, classes))


def main() -> None:
    """Train on two thirds, test with the rest."""
    folder = pictures.folder(__doc__)
    tn.training.seed(0)
    table = tn.data.csv(IRISES, target="species", standardize=True)
    train, test = table.split(test=1 / 3, seed=0)
    net = network(train.x.shape[1], len(table.classes))
    adam = optim.AdamW(lr=0.01, weight_decay=0.1)
    tn.training.fit(net, F.cross_entropy, adam, (train.x, train.y), epochs=40, verbose=0)

    metrics = "accuracy", tn.metrics.F1(), tn.metrics.CalibrationError(from_logits=True)
    numbers = tn.training.evaluate(net, F.cross_entropy, (test.x, test.y), metrics=metrics)
    print(f"{len(test)} test flowers: " + ", ".join(f"{name} {value:.3f}" for name, value in numbers.items()))
    confusion = tn.metrics.ConfusionMatrix(table.classes)
    confusion.update(tn.training.predict(net, test.x), test.y)
    confusion.draw().save(folder / "tabular.svg")
    assert numbers["accuracy"] >= 0.94, numbers


if __name__ == "__main__":
    main()
