"""The command ``rtosheap``, and ``python -m rtosheap``."""

import sys

try:
    from rtosheap.cli import main
except KeyboardInterrupt:  # ends the process, as it would without Python, and without a traceback
    import signal

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.raise_signal(signal.SIGINT)
    raise

if __name__ == "__main__":
    sys.exit(main())
