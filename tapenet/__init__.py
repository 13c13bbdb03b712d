"""tapenet: a NumPy-native computational-graph framework."""

from tapenet import testing
from tapenet.autodiff import binder as _binder  # installs the recorder
from tapenet.autodiff.functions import grad, hvp, value_and_grad, vjp
from tapenet.autodiff.tape import Tape, debug, enable_grad, is_grad_enabled, no_grad, tape
from tapenet.autodiff.tensor import Tensor, asarray, backward, tensor
from tapenet.ops import *  # noqa: F403
from tapenet.ops.op import op
