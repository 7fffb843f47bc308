"""``python -m foundation_transformer.cli``."""

import sys

from foundation_transformer.cli._main import main

sys.exit(main())
