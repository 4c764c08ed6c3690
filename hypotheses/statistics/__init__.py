"""Statistics that more than one paper uses: contrasts of conditions, neuron sets, weights, joint ablation."""
