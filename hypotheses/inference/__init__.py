"""Permutation, jackknife, equivalence, multiplicity and power; knows no model."""
