"""Attention: values looked up by comparing queries with keys; several heads of it; and positions, which it does not see
by itself."""
