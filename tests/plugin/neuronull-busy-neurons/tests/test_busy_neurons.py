"""The checks that neuronull holds every hypothesis to, one test each.

On planted measurements, or on those of the directory that NEURONULL_MEASUREMENTS names.
"""

import os

from neuronull.testing import parametrize_with_checks
from neuronull_busy_neurons import paper


@parametrize_with_checks(paper.hypotheses, measurements=os.environ.get("NEURONULL_MEASUREMENTS"))
def test_busy_neurons(target, check):
    check(target)
