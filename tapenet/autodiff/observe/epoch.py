"""When captured programs have to ask whether they still hold."""

from __future__ import annotations

import itertools
from collections.abc import Callable

#: Rises whenever something changes that a captured step may have been recorded for and that is no array's contents:
#: an attribute of a module, an option of an optimizer other than a number for its learning rate, which parameters
#: are updated together, which array a tensor stands for, whether it needs a gradient. As long as the number is the
#: same, so is all of that; otherwise `Capture.dependencies` say whether it concerns a given program. Read it as
#: `epoch.current`, since an import would keep the number of that moment.
current = 0
_next_epoch: Callable[[], int] = itertools.count(1).__next__


#: The tensors that compiled programs refer to, by id. One whose id was another's before costs a look more.
referred: set[int] = set()


def bump() -> None:
    """Say that something of what `epoch` is about has changed. Called after the change: who read the number before
    and looks at the state now must not take the old for the new."""
    global current
    current = _next_epoch()
