"""The declared hypotheses, one file a family; nothing here computes."""
