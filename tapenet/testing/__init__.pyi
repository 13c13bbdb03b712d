# Made by `python -m tests.stubs`.
from tapenet.compat.porting import PortingWarning as PortingWarning
from tapenet.compat.porting import porting as porting
from tapenet.ops.registry import Sample as Sample
from tapenet.testing.gradients import GradientMismatch as GradientMismatch
from tapenet.testing.gradients import check_grads as check_grads
from tapenet.testing.ops import check_op as check_op
