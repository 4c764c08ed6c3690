"""Measurements and models with known truth."""
