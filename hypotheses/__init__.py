"""What is claimed, what chance is taken to mean, and how a verdict falls."""
