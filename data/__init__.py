"""Where measurements come from: models, corpora, counts, panels, and the measurement store."""
