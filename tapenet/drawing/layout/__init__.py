"""Where everything stands in a still picture: boxes in layers, clusters around them, and the ways of the arrows."""
