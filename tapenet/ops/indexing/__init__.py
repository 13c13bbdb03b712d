"""Parts of arrays: read, written, selected by index, order and condition."""
