"""What modules and optimizers both know of parameters."""
