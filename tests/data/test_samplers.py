"""Samplers, splits and folds: who comes, how often, and with whom."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapenet.data import (
    BalancedSampler,
    BatchSampler,
    DataLoader,
    LengthBatchSampler,
    PadCollate,
    RandomSampler,
    Sampler,
    SequentialSampler,
    StratifiedSampler,
    WeightedSampler,
    kfold,
    split,
)

labels_of_some = st.lists(st.integers(0, 3), min_size=1, max_size=40)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


class TestSamplers:
    @given(count=st.integers(0, 20), seed=st.integers(0, 9))
    def test_all_once(self, count: int, seed: int) -> None:
        assert SequentialSampler(count).order(rng(seed)).tolist() == list(range(count))
        for sampler in (RandomSampler(count), StratifiedSampler(np.arange(count) % 3)):
            assert sorted(sampler.order(rng(seed)).tolist()) == list(range(count))
            assert len(sampler) == count
            assert not sampler.repeats

    def test_some_with_and_without_replacement(self) -> None:
        assert len(set(RandomSampler(range(9), 5).order(rng()).tolist())) == len(RandomSampler(9, 5)) == 5
        drawn = RandomSampler(4, 4000, replacement=True)
        counts = np.bincount(drawn.order(rng()))
        assert counts.sum() == len(drawn) == 4000
        assert counts.min() > 900
        with pytest.raises(ValueError, match=r"RandomSampler\(count=5\): there are 4 to draw; with replacement=True"):
            RandomSampler(4, 5)

    def test_weights(self) -> None:
        counts = np.bincount(WeightedSampler([1, 0, 3], 4000).order(rng()))
        assert counts[1] == 0
        assert abs(counts[2] / 4000 - 0.75) < 0.03
        assert sorted(WeightedSampler([1, 0, 3], replacement=False).order(rng()).tolist()) == [0, 2]
        for wrong in ([], [0, 0], [1, -1], [np.nan], [[1]]):
            with pytest.raises(ValueError, match="finite weights"):
                WeightedSampler(wrong)
        with pytest.raises(ValueError, match="there are 1 to draw"):
            WeightedSampler([1, 0], 2, replacement=False)

    @given(labels=labels_of_some, count=st.none() | st.integers(0, 60), seed=st.integers(0, 9))
    def test_balanced(self, labels: list[int], count: int | None, seed: int) -> None:
        sampler = BalancedSampler(labels, count)
        order = sampler.order(rng(seed)).tolist()
        assert len(order) == len(sampler) == (len(labels) if count is None else count)
        of_class = Counter(labels[number] for number in order)
        shares = [of_class[label] for label in set(labels)]
        assert max(shares) - min(shares) <= 1
        often = Counter(order)
        for label in set(labels):
            times = [often[number] for number in range(len(labels)) if labels[number] == label]
            assert max(times) - min(times) <= 1

    @given(labels=labels_of_some, seed=st.integers(0, 9))
    def test_stratified_order_spreads_each_class(self, labels: list[int], seed: int) -> None:
        """Between two neighbours of a class there are about as many of each other as its proportion gives."""
        order = [labels[number] for number in StratifiedSampler(labels).order(rng(seed))]
        counts = Counter(labels)
        for one, ones in counts.items():
            places = [place for place, label in enumerate(order) if label == one]
            for first, second in itertools.pairwise(places):
                between = Counter(order[first:second])
                for other, others in counts.items():
                    assert other == one or abs(between[other] - others / ones) < 1 + 1e-9

    def test_orders_differ_from_epoch_to_epoch(self) -> None:
        labels = np.arange(60) % 3
        for sampler in (
            RandomSampler(60),
            WeightedSampler(np.ones(60)),
            BalancedSampler(labels),
            StratifiedSampler(labels),
        ):
            assert sampler.order(rng(0)).tolist() == sampler.order(rng(0)).tolist() != sampler.order(rng(1)).tolist()

    def test_unfinished(self) -> None:
        with pytest.raises(NotImplementedError, match="Sampler without order"):
            Sampler().order(rng())
        with pytest.raises(NotImplementedError, match="Sampler without __len__"):
            len(Sampler())
        with pytest.raises(NotImplementedError, match="BatchSampler without batches"):
            BatchSampler().batches(rng())
        with pytest.raises(NotImplementedError, match="BatchSampler without __len__"):
            len(BatchSampler())
        with pytest.raises(
            ValueError, match=r"BalancedSampler\(\) needs labels \(n,\), one per sample, got shape \(1, 1\)"
        ):
            BalancedSampler([[1]])


class TestLengths:
    @given(
        lengths=st.lists(st.integers(0, 9), max_size=30),
        batch_size=st.integers(1, 8),
        shuffle=st.booleans(),
        drop_last=st.booleans(),
    )
    def test_batches_of_one_size(self, lengths: list[int], batch_size: int, shuffle: bool, drop_last: bool) -> None:
        sampler = LengthBatchSampler(lengths, batch_size, shuffle=shuffle, drop_last=drop_last)
        batches = sampler.batches(rng())
        full, rest = divmod(len(lengths), batch_size)
        assert sorted(map(len, batches), reverse=True) == [batch_size] * full + [rest] * (rest > 0 and not drop_last)
        assert len(sampler) == len(batches)
        self.check(lengths, batches, drop_last)

    @given(lengths=st.lists(st.integers(0, 9), max_size=30), most=st.integers(9, 40), seed=st.integers(0, 3))
    def test_batches_of_one_total(self, lengths: list[int], most: int, seed: int) -> None:
        sampler = LengthBatchSampler(lengths, max_total=most)
        batches = sampler.batches(rng(seed))
        assert len(sampler) == len(batches)
        assert all(len(batch) * max(lengths[number] for number in batch) <= most for batch in batches)
        self.check(lengths, batches, False)

    def check(self, lengths: list[int], batches: Any, drop_last: bool) -> None:
        """Each once, and no batch reaches into the lengths of another."""
        seen = [number for batch in batches for number in batch.tolist()]
        assert len(set(seen)) == len(seen)
        assert drop_last or len(seen) == len(lengths)
        spans = sorted((min(found), max(found)) for batch in batches if (found := [lengths[n] for n in batch]))
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))

    def test_in_a_loader_it_saves_padding(self) -> None:
        words = [[0] * length for length in np.random.default_rng(0).permutation(np.arange(1, 101))]
        plain = DataLoader(words, 10, collate=PadCollate(), shuffle=True, seed=0)
        sorted_ = DataLoader(
            words, batch_sampler=LengthBatchSampler(list(map(len, words)), 10), collate=PadCollate(), seed=0
        )
        size = [sum(values.size for values, _ in loader) for loader in (plain, sorted_)]
        assert size[1] == 10 * sum(range(10, 101, 10))
        assert size[0] > 1.5 * size[1]
        first, second = ([lengths.max() for _, lengths in sorted_] for _ in range(2))
        assert first != second
        assert sorted(first) == sorted(second)

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            (([1.5], 2), ValueError, "lengths .* as integers"),
            (([1], None), TypeError, "one of batch_size= and max_total="),
            (([1], 0), ValueError, "batch_size of at least 1"),
            (([1, 9], None, 5), ValueError, "cannot put sample 1, of length 9, into a batch of max_total=5"),
        ],
    )
    def test_wrong_calls(self, arguments: Any, error: type[Exception], message: str) -> None:
        lengths, size, *total = arguments
        with pytest.raises(error, match=message):
            LengthBatchSampler(lengths, size, max_total=total[0] if total else None)


class TestSplit:
    @given(
        samples=st.integers(0, 30),
        weights=st.lists(st.integers(1, 9), min_size=1, max_size=4),
        shuffle=st.booleans(),
        seed=st.integers(0, 9),
    )
    def test_fractions(self, samples: int, weights: list[int], shuffle: bool, seed: int) -> None:
        fractions = [weight / sum(weights) for weight in weights]
        parts = split(range(samples), fractions, shuffle=shuffle, seed=seed)
        assert sorted(number for part in parts for number in part) == list(range(samples))
        assert all(abs(len(part) - fraction * samples) < 1 for part, fraction in zip(parts, fractions, strict=True))
        assert all(list(part) == sorted(part) for part in parts)
        if not shuffle:
            assert [number for part in parts for number in part] == list(range(samples))

    def test_counts_seeds_and_whole(self) -> None:
        first, second = split(range(10), (3, 7), seed=0)
        assert (len(first), len(second)) == (3, 7)
        assert list(first) == list(split(range(10), (3, 7), seed=0)[0]) != list(split(range(10), (3, 7), seed=1)[0])
        assert list(split(range(3), (1,))[0]) == [0, 1, 2]
        np.random.seed(0)
        unseeded = list(split(range(100), (50, 50))[0])
        np.random.seed(0)
        assert list(split(range(100), (50, 50))[0]) == unseeded

    @given(labels=st.lists(st.integers(0, 2), min_size=1, max_size=60), first=st.floats(0, 1), seed=st.integers(0, 9))
    def test_stratified(self, labels: list[int], first: float, seed: int) -> None:
        parts = split(labels, (first, 1 - first), stratify=labels, seed=seed)
        for part in parts:
            counts = Counter(part)
            for label, count in Counter(labels).items():
                assert abs(counts[label] - count * len(part) / len(labels)) < 1.5

    @pytest.mark.parametrize(
        ("parts", "options", "message"),
        [
            ((0.5, 0.4), {}, "add up to 0.9, not 1"),
            ((3, 4), {}, "numbers .* that add up to 7, for 10 samples"),
            ((-0.5, 1.5), {}, "parts of 0 or more"),
            ((), {}, "parts of 0 or more"),
            ((0.5, 0.5), {"stratify": [1, 2]}, r"labels \(10,\), one per sample, got shape \(2,\)"),
        ],
    )
    def test_wrong_calls(self, parts: Any, options: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            split(range(10), parts, **options)

    def test_a_tuple_of_arrays_is_no_data_set(self) -> None:
        for call in (lambda data: split(data, (0.5, 0.5)), lambda data: kfold(data, 2)):
            with pytest.raises(TypeError, match=r"got a tuple of 2 arrays, .* write \w+\(tn.data.ArrayDataset\(x, y\)"):
                call((np.ones(4), np.ones(4)))


class TestFolds:
    @given(samples=st.integers(2, 30), folds=st.integers(2, 6), shuffle=st.booleans(), seed=st.integers(0, 9))
    def test_every_sample_is_tested_once(self, samples: int, folds: int, shuffle: bool, seed: int) -> None:
        folds = min(folds, samples)
        pairs = list(kfold(range(samples), folds, shuffle=shuffle, seed=seed))
        assert len(pairs) == folds
        assert sorted(number for _, test in pairs for number in test) == list(range(samples))
        assert all(sorted([*train, *test]) == list(range(samples)) for train, test in pairs)
        sizes = [len(test) for _, test in pairs]
        assert max(sizes) - min(sizes) <= 1

    @given(labels=st.lists(st.integers(0, 2), min_size=4, max_size=60), folds=st.integers(2, 4), seed=st.integers(0, 9))
    def test_stratified(self, labels: list[int], folds: int, seed: int) -> None:
        for _, test in kfold(labels, folds, stratify=labels, seed=seed):
            counts = Counter(test)
            assert all(
                abs(counts[label] - count * len(test) / len(labels)) < 2 for label, count in Counter(labels).items()
            )

    @given(groups=st.lists(st.integers(0, 9), min_size=1, max_size=40), folds=st.integers(2, 4), seed=st.integers(0, 9))
    def test_groups_stay_together(self, groups: list[int], folds: int, seed: int) -> None:
        if len(set(groups)) < folds:
            with pytest.raises(ValueError, match=f"one per group, of which there are {len(set(groups))}; got {folds}"):
                kfold(groups, folds, groups=groups, seed=seed)
            return
        pairs = list(kfold(groups, folds, groups=groups, seed=seed))
        assert sorted(number for _, test in pairs for number in test.indices.tolist()) == list(range(len(groups)))
        assert all(not set(train) & set(test) for train, test in pairs)
        sizes = [len(test) for _, test in pairs]
        assert max(sizes) - min(sizes) <= max(Counter(groups).values())
        assert min(sizes) > 0

    def test_wrong_calls(self) -> None:
        for folds in (1, 0, 4):
            with pytest.raises(ValueError, match=f"from 2 folds to one per sample, of which there are 3; got {folds}"):
                kfold(range(3), folds)
        with pytest.raises(TypeError, match="stratify= or groups=, not both"):
            kfold(range(3), 2, stratify=[0, 0, 1], groups=[0, 0, 1])
        with pytest.raises(ValueError, match=r"kfold\(\) needs labels \(3,\)"):
            kfold(range(3), 2, groups=[0, 1])
