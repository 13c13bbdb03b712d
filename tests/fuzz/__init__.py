"""Generators of random cases, each of which looks for one class of defects.

`python -m tests.fuzz NAME --minutes N` runs one by hand. The default test run takes the first few cases of each, CI more.

A generator is a module of this folder, listed in `harness.NAMES`, with

- `CASES`: a Hypothesis strategy of cases. `str(case)` is a short program that shows the case and can be pasted.
- `check(case)`: raises where the case shows a defect.
- `FEW` and `MANY`: how many cases the default run and CI take.

Hypothesis draws, repeats by seed, and shrinks a failure to the shortest case that still fails.
"""
