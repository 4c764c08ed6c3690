"""What each hypothesis estimates: one path from a draw of a null model to a number, taken by the observed data too."""
