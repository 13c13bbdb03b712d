"""Passes from one drawing to another: folding, repeats, gradients, paint, comparisons. Plain data in and out."""
