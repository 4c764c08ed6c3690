"""``python -m neuronull``: the same as the command `neuronull`."""

import sys

from .cli import main

sys.exit(main())
