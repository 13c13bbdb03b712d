"""What a source of data promises: `check_data`."""

from __future__ import annotations

import copy
import itertools
import pickle
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from tapenet.data.collation import collate as usual_collation
from tapenet.data.dataset import Dataset, Samples, draw, is_random
from tapenet.data.fetch import rows_of
from tapenet.data.loader import DataLoader
from tapenet.data.stream import Stream
from tapenet.testing.findings import Findings, attempt, difference, place_of_numpys, seeded
from tapenet.typing import Array


def check_data(source: object, *, samples: int = 16, collate: Callable[[list[object]], object] | None = None) -> None:
    """Check a source of data: a data set, with a length and samples by number, or a stream, such as a function that makes an
    iterator.

    It gives the same samples each time, but for what it draws from the generator that it is given; samples are arrays of their
    own; they can be collated; `take` gives what the samples one by one are; batches are the same with workers, and go on where
    a saved loader was; worker processes can be sent it.

    Args:
        source: what a `DataLoader` takes, arrays aside.
        samples: how many of them are looked at.
        collate: what puts samples together, if they are not to be stacked.

    Raises:
        AssertionError: says what is wrong, and at which sample.

    >>> import tapenet as tn
    >>> class Noise(tn.data.Dataset):
    ...     def __len__(self):
    ...         return 10
    ...     def __getitem__(self, index):
    ...         return np.random.normal(size=3)
    >>> tn.testing.check_data(Noise())
    Traceback (most recent call last):
    AssertionError: check_data(Noise): sample 0 is another each time it is asked for: draw random numbers in ...
    >>> tn.testing.check_data([(np.zeros(2), 0), (np.ones(2), 1)])
    """
    findings = Findings("check_data", source if callable(source) else type(source))
    made = attempt(
        findings, "a DataLoader does not take it", lambda: DataLoader(source, 2, collate=collate or usual_collation)
    )
    assert isinstance(made, DataLoader)
    with seeded():
        if isinstance(source, Stream) or not (hasattr(source, "__getitem__") and hasattr(source, "__len__")):
            _check_stream(findings, source, samples)
        else:
            _check_dataset(findings, source, samples, collate)
        _check_batches(findings, source, samples, collate)


# -- samples by number -------------------------------------------------------------------------------------------


def _check_dataset(
    findings: Findings, dataset: Samples[object], samples: int, collate: Callable[[list[object]], object] | None
) -> None:
    count = attempt(findings, "len() of it fails", lambda: len(dataset))
    assert isinstance(count, int)
    if count != len(dataset):
        findings.fail("its length is another each time it is asked for")
    if count == 0:
        findings.fail("it is empty: check it with some samples")
    chosen = sorted({*range(min(count, samples)), count - 1})

    def sample(index: int) -> object:
        return draw(dataset, index, np.random.default_rng(index) if random else None)

    random = is_random(dataset)
    found, kept = [], []
    for i in chosen:
        found.append(attempt(findings, f"sample {i} of {count} fails", lambda i=i: sample(i)))  # type: ignore[misc]
        kept.append(copy.deepcopy(_parts(found[-1])))
    for i, value, first in zip(chosen, found, kept, strict=True):
        if difference(_parts(value), first):
            findings.fail(
                f"sample {i} changed when others were asked for: it gives the same array again and again; make one for each "
                "sample, or return a copy"
            )
    for i, first in zip(chosen, kept, strict=True):
        before = place_of_numpys()
        again = _parts(sample(i))
        drew = place_of_numpys() != before
        if drew or difference(again, first):
            what = "draws from NumPy's global generator" if drew and random else "is another each time it is asked for"
            findings.fail(
                f"sample {i} {what}: draw random numbers in `draw(index, rng)`, or in a function f(sample, rng) given "
                "to map(), from that rng alone"
            )
    if not isinstance(dataset, Dataset) and not hasattr(dataset, "__iter__"):
        try:
            dataset[count]
        except IndexError:
            pass
        except Exception as error:
            findings.fail(f"sample {count} of {count} raises {type(error).__name__}, and is to be an IndexError", error)
        else:
            findings.fail(
                f"sample {count} of {count} is none, and is to be an IndexError: without it a Python loop over the "
                "data set does not end; tn.data.Dataset as its base gives it one that does"
            )
    attempt(
        findings, "its samples do not make a batch", lambda: (collate or usual_collation)([sample(i) for i in chosen])
    )
    _check_take(findings, dataset, chosen)


def _check_take(findings: Findings, dataset: Samples[object], chosen: Sequence[int]) -> None:
    take = None if is_random(dataset) else rows_of(dataset)
    if take is None:
        return
    order = np.array([*reversed(chosen), chosen[0]])
    found = attempt(findings, "take(indices) fails", lambda: take(order.copy()))
    expected = usual_collation([dataset[int(i)] for i in order])
    if wrong := difference(_parts(found), _parts(expected)):
        findings.fail(f"take({order.tolist()}) gives another batch than these samples one by one ({wrong})")
    for array in _parts(found):
        if array.flags.writeable and array.dtype.kind in "iuf":
            array[...] = 1 - array
    if difference(_parts(take(order.copy())), _parts(expected)):
        findings.fail("writing into what take(indices) gave changes the data set: return a copy")


# -- one after the other -----------------------------------------------------------------------------------------


def _check_stream(findings: Findings, source: object, samples: int) -> None:
    stream: Stream[object] = source if isinstance(source, Stream) else Stream(source)  # type: ignore[arg-type]

    def epoch() -> list[list[Array]]:
        rng = np.random.default_rng(0)
        return [copy.deepcopy(_parts(stream.finish(s, rng))) for s in itertools.islice(stream.open(rng), samples)]

    first = attempt(findings, "looping over it fails", epoch)
    assert isinstance(first, list)
    if not first:
        findings.fail("it gives no sample")
    before = place_of_numpys()
    try:
        second = epoch()
    except RuntimeError as error:
        findings.fail(
            "it can be read once, and training needs an epoch more than once: give a function that makes the iterator",
            error,
        )
    if not second:
        findings.fail("it gives nothing in the second epoch: give a function that makes a new iterator each time")
    drew = place_of_numpys() != before
    if drew or len(first) != len(second) or any(map(difference, second, first)):
        findings.fail(
            "a second epoch of the same seed gives other samples: it keeps something from one to the next, or draws "
            "random numbers of its own; a function with a parameter `rng` gets the generator to draw from"
        )
    rng = np.random.default_rng(0)
    held = [_parts(stream.finish(s, rng)) for s in itertools.islice(stream.open(rng), samples)]
    if any(map(difference, held, first)):
        findings.fail(
            "a sample changed when the next was asked for: it gives the same array again and again; make one for each"
        )


# -- batches -----------------------------------------------------------------------------------------------------


def _check_batches(
    findings: Findings, source: object, samples: int, collate: Callable[[list[object]], object] | None
) -> None:
    count = max(2, samples // 4)

    def batches(loader: Iterable[object]) -> list[list[Array]]:
        return [copy.deepcopy(_parts(batch)) for batch in itertools.islice(iter(loader), count)]

    def loader(given: object = source, workers: int = 0) -> DataLoader[object]:
        return DataLoader(given, 2, seed=0, collate=collate or usual_collation, workers=workers)

    plain = attempt(findings, "its batches cannot be made", lambda: batches(loader()))
    assert isinstance(plain, list)
    with loader(workers=2) as busy:
        found = attempt(findings, "its batches cannot be made by two workers", lambda: batches(busy))
    assert isinstance(found, list)
    if any(map(difference, found, plain)):
        findings.fail("its batches are others with two workers: samples depend on what was asked for before")
    run = loader()
    loop = iter(run)
    next(loop)
    resumed = loader()
    resumed.load_state_dict(run.state_dict())
    if any(map(difference, batches(resumed), plain[1:])):
        findings.fail("a loader that goes on where another was gives other batches than that one")
    if isinstance(source, Stream) or not hasattr(source, "__getitem__"):
        return  # it is read in one process
    try:
        sent = pickle.loads(pickle.dumps(source))
    except (pickle.PicklingError, AttributeError):
        return  # a class or function that has no name of its own, which a forked process knows all the same
    except Exception as error:
        findings.fail(f"worker processes cannot be sent it: {type(error).__name__}: {error}", error)
    if any(map(difference, batches(loader(sent)), plain)):
        findings.fail("a pickle of it, as worker processes are sent, gives other samples")


def _parts(value: object) -> list[Array]:
    """The values in a sample or batch, in order, with the names of fields."""
    if isinstance(value, dict):
        return [part for key, field in value.items() for part in (np.asarray(str(key)), *_parts(field))]
    if isinstance(value, (list, tuple)):
        return [part for field in value for part in _parts(field)]
    return [np.asarray(getattr(value, "data", value) if hasattr(value, "requires_grad") else value)]
