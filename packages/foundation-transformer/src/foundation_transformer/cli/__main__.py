"""``python -m foundation_transformer.cli``."""

import sys

from foundation_transformer.cli._main import main

if __name__ == "__main__":
    sys.exit(main())
