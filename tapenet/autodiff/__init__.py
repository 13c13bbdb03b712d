"""What is recorded and differentiated: tensors, tapes, the backward driver.

From here on ops take tensors: importing `generate` tells them how.
"""

from tapenet.autodiff import generate as generate
