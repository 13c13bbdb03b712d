# Made by `python -m tests.stubs`.
