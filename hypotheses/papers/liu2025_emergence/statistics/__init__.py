"""What the claims of the companion papers estimate."""
