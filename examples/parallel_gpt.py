"""A language model on several ranks: the transformer of char_gpt.py, each rank with its part of every batch.

All ranks draw the same batches, from one seed, and `parallel.shard` takes each its part. Gradients are averaged while the
backward pass runs, and clipped by the norm of the gradient of the whole batch. One rank shows the progress and writes.

    mpiexec -n 4 python examples/parallel_gpt.py
"""

import numpy as np
from char_gpt import CHARACTERS, CONTEXT, GPT, TOKENS, Pieces, write

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import optim, parallel

STEPS = 60


def main() -> None:
    """Train, compare the ranks, and write."""
    tn.training.seed(0)
    known, new = np.split(TOKENS, [len(TOKENS) * 19 // 20])
    model = GPT()
    adam = parallel.optimizer(optim.AdamW(lr=optim.one_cycle(6e-3, STEPS)), model)
    batches = parallel.shard(Pieces(known, STEPS, np.random.default_rng(0)))
    tn.training.fit(model, F.cross_entropy, adam, batches, epochs=1, clip_norm=1.0)
    assert parallel.equal(model), "the ranks have other parameters"

    windows = np.lib.stride_tricks.sliding_window_view(new, CONTEXT + 1)[:: 4 * CONTEXT]
    perplexity = tn.metrics.Perplexity()(tn.training.predict(model, windows[:, :-1]), windows[:, 1:])
    if parallel.rank == 0:
        print(
            f"{parallel.size} ranks, {len(CHARACTERS)} characters: a perplexity of {perplexity:.1f} after {STEPS} steps"
        )
        print(write(model, "The gradient of", 60, np.random.default_rng(0)))
    assert perplexity < 18, perplexity  # guesses by the frequency of letters have 27


if __name__ == "__main__":
    main()
