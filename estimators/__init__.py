"""What is measured: pure functions of arrays, and the measuring of a model; no p-values here."""
