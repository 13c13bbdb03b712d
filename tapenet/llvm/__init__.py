"""Machine code through LLVM: writing it, compiling it, and the mathematical functions and products it is made of."""

import time

#: When this process began to read tapenet's code, in seconds: what was changed later is not what it runs.
BEGUN = time.time()
