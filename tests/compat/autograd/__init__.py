"""Tests of the module that stands for autograd."""
