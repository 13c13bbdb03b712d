"""What is computed: every op with its gradient rules. Knows arrays, not tensors."""

from tapenet.ops.elementwise import *  # noqa: F403
from tapenet.ops.indexing import *  # noqa: F403
from tapenet.ops.linalg import *  # noqa: F403
from tapenet.ops.reductions import *  # noqa: F403
from tapenet.ops.shaping import *  # noqa: F403
