"""The update rules, by family, with PyTorch's names, defaults and formulas where PyTorch has them.

Each optimizer is a configuration: which options there are, what is kept per parameter (`states`), the numbers of
one update (`scalars`), and the pure `rule`.
"""
