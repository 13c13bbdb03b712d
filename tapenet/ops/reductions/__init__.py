"""Many elements to one: sums, extremes, statistics, running totals."""
