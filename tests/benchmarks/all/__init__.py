"""All suites side by side with their peers, at one thread and at two, and the page of what they found."""
