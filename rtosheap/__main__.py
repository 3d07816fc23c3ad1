"""``python -m rtosheap``: the command line."""

import sys

from rtosheap.cli import main

if __name__ == "__main__":
    sys.exit(main())
