"""Sums, training and derivatives on several ranks, one thread each: mpi4py alone, and PyTorch over gloo, beside tapenet.

A training step is of all ranks on a batch each, and its bound is one rank's own step while the others sleep: 1.11 of that is an
efficiency of 0.9. Derivatives are one for all.
"""
