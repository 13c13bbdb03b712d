"""What is recorded and differentiated: tensors, tapes, the backward driver.

From here on ops take tensors, and functions that make arrays make tensors: importing `generate` and `creation` tells them
how.
"""

from tapenet.autodiff import creation as creation
from tapenet.autodiff import generate as generate
