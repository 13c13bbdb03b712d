"""Long programs of elementwise instructions, as one function: values, or a sum of them with its three gradients."""
