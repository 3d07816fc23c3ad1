"""The command ``rtosheap``, and ``python -m rtosheap``."""

import signal
import sys

_WAITS = signal.getsignal(signal.SIGINT) is signal.default_int_handler
if _WAITS:  # an interrupt while modules are loaded ends the process without a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from rtosheap.cli import main  # noqa: E402

if _WAITS:
    signal.signal(signal.SIGINT, signal.default_int_handler)

if __name__ == "__main__":
    sys.exit(main())
