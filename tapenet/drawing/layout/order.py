"""The order of boxes and bends within the layers of a cluster: the one found that crosses least."""

from __future__ import annotations

from tapenet.drawing.layout.layers import BEND, Net

#: Up to so many boxes and bends, neighbours are swapped and a second order is tried.
_SMALL = 700
#: So many rounds without a better order are enough.
_IN_VAIN = 4


def order(net: Net) -> None:
    """Put the items and bends of each layer in order."""
    if all(len(layer) < 2 for layer in net.layers):
        return
    small = len(net.role) <= _SMALL
    first = _search(net, list(net.aside), small)
    if small and first[0] > 0:
        # Long arrows begin on the left; the other way around it may be better.
        second = _search(net, [2 - a if net.role[i] == BEND else a for i, a in enumerate(net.aside)], small)
        first = min(first, second, key=lambda found: found[0])
    net.layers = first[1]


def _search(net: Net, aside: list[int], small: bool) -> tuple[int, list[list[int]]]:
    """Sweeps up and down from an order by side and age; the best that comes by, and how many crossings it has."""
    layers = [sorted(layer, key=lambda i: (aside[i], net.age[i], i)) for layer in net.layers]
    place = [0] * len(net.role)
    for layer in layers:
        _number(layer, place)
    _sweep(net, layers, place, downward=False)
    best = _crossings(net, layers, place), [list(layer) for layer in layers]
    rounds = 16 if len(net.role) <= 300 else 8 if small else 4
    since = 0
    for n in range(rounds):
        if not best[0] or since == _IN_VAIN:
            break
        _sweep(net, layers, place, downward=n % 2 == 0)
        if small:
            _swap(net, layers, place)
        crossings = _crossings(net, layers, place)
        since += 1
        if crossings < best[0]:
            since = 0
            best = crossings, [list(layer) for layer in layers]
    return best


def _number(layer: list[int], place: list[int]) -> None:
    for k, i in enumerate(layer):
        place[i] = k


def _sweep(net: Net, layers: list[list[int]], place: list[int], *, downward: bool) -> None:
    """Put each item at the mean place of its neighbours in the layer before."""
    near = net.up if downward else net.down
    for layer in layers if downward else reversed(layers):
        if len(layer) > 1:
            wish = {}
            for i in layer:
                total = 0.0
                for other, _, _, other_at in near[i]:
                    total += place[other] + 0.9 * other_at / (net.left[other] + net.right[other] + 1)
                wish[i] = total / len(near[i]) if near[i] else float(place[i])
            layer.sort(key=lambda i: (wish[i], place[i]))
        _number(layer, place)


def _swap(net: Net, layers: list[list[int]], place: list[int]) -> None:
    """Swap neighbours in a layer wherever that makes fewer crossings."""
    for _ in range(3):
        better = False
        for layer in layers:
            if len(layer) < 2:
                continue
            ups = {i: [place[other] for other, _, _, _ in net.up[i]] for i in layer}
            downs = {i: [place[other] for other, _, _, _ in net.down[i]] for i in layer}
            for k in range(len(layer) - 1):
                a, b = layer[k], layer[k + 1]
                if _crossed(ups[a], ups[b]) + _crossed(downs[a], downs[b]) > 0:
                    layer[k], layer[k + 1] = b, a
                    better = True
            _number(layer, place)
        if not better:
            return


def _crossed(a: list[int], b: list[int]) -> int:
    """How many more crossings there are with a before b than with b before a."""
    n = 0
    for x in a:
        for y in b:
            n += (x > y) - (x < y)
    return n


def _crossings(net: Net, layers: list[list[int]], place: list[int]) -> int:
    return sum(_between(net, layer, place) for layer in layers)


def _between(net: Net, layer: list[int], place: list[int]) -> int:
    """How many pairs of segments from a layer to the next cross, counted with a tree of sums."""
    ends = []
    for i in layer:
        ends += sorted((at, place[other]) for other, _, at, _ in net.down[i])
    if len(ends) < 2:
        return 0
    size = max(end for _, end in ends) + 2
    sums = [0] * size
    crossed = 0
    for n, (_, end) in enumerate(ends):
        until = 0
        k = end + 1
        while k > 0:
            until += sums[k]
            k -= k & -k
        crossed += n - until
        k = end + 1
        while k < size:
            sums[k] += 1
            k += k & -k
    return crossed
