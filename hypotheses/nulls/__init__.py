"""The null models, one file each."""
