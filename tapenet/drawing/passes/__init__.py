"""What makes one drawing into another: folding, repeats, gradients, paint, differences. Plain data in and out."""
