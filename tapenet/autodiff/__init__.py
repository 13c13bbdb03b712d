"""What is recorded and differentiated: tensors, the tape, the backward driver, transformations of functions."""

# Importing the binder installs the recorder: from here on ops take tensors.
from tapenet.autodiff import binder as binder
