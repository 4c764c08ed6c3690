"""What the claims of Liu 2025 estimate."""
