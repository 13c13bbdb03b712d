"""What a step costs: `tn.profile`."""
