"""Where drawings come from: the tape, a call, a compiled program; with the names and numbers that go with them."""
