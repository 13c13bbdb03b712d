"""The array API standard: that `tapenet` is a namespace of it."""
