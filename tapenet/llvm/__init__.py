"""Machine code through LLVM: writing it, compiling it, and the mathematical functions and products it is made of."""
