"""The same values in other shapes; joining, cutting, padding; arrays made new."""
