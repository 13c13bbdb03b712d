"""Training on several ranks: what it costs here, and by a model on up to a thousand hosts."""
