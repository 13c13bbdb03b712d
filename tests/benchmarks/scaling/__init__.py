"""A model of time: what the workloads of the other suites would take on other processors, and what bounds them there."""
