"""Pooling: windows of the last one, two or three axes, each made one element.

Written once for any number of axes. Windows are taken apart: first along the last axis, then along the one before it,
so that a window of k x k costs 2(k - 1) passes.
"""
