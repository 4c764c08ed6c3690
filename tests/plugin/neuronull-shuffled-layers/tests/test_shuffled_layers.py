"""The conformance checks that neuronull holds every null model to, one test each."""

from neuronull.testing import parametrize_with_checks
from neuronull_shuffled_layers import ShuffledLayers


@parametrize_with_checks([ShuffledLayers()])
def test_shuffled_layers(target, check):
    check(target)
