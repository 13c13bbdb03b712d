"""Derivatives of what a solver finds, by the equation that it solves."""
