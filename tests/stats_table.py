"""The table of docs/scipy/stats.md, made from the distributions: how each has its derivatives.

python -m tests.stats_table

writes it.
"""

from __future__ import annotations

from pathlib import Path

import scipy.stats

from tapenet.scipy import stats
from tapenet.scipy.stats.continuous_distribution import Continuous

PAGE = Path(__file__).parent.parent / "docs" / "scipy" / "stats.md"


def row(name: str) -> str:
    """The row of a distribution."""
    distribution = getattr(stats, name)
    whole = [n for n in distribution.shapes if n in distribution.integers]
    free = [n for n in distribution.parameters if n not in whole]
    continuous = isinstance(distribution, Continuous)
    by = ["x", *free] if continuous else [n for n in free if n != "loc"]
    closed = distribution._closed
    if name == "poisson_binom":
        how = "formula"
    elif not any(n in distribution.shapes for n in free):
        how = "density" if continuous else "none"
    else:
        how = f"formula of {closed[0]}" if closed else "quadrature" if continuous else "sum"
    return f"| `{name}` | {' '.join(by) or 'none'} | {' '.join(whole)} | {how} |"


def table() -> str:
    """The table."""
    kinds = scipy.stats.rv_continuous, scipy.stats.rv_discrete
    found = []
    for kind, title in zip(kinds, ("continuous", "discrete"), strict=True):
        names = sorted(n for n, d in vars(scipy.stats).items() if isinstance(d, kind))
        found.append(
            f"{len(names)} {title} distributions:\n\n| name | derivatives by | whole numbers | `cdf` and its kin by shapes |\n"
            "|---|---|---|---|\n" + "\n".join(map(row, names))
        )
    return "\n\n".join(found)


def written() -> str:
    """The page with the table."""
    before, _, rest = PAGE.read_text().partition("<!-- distributions -->")
    return f"{before}<!-- distributions -->\n{table()}\n<!-- /distributions -->{rest.partition('<!-- /distributions -->')[2]}"


if __name__ == "__main__":
    PAGE.write_text(written())
