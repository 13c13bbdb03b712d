"""Where drawings come from: a recorded graph, a call, a compiled program; with their names and numbers."""
