"""heap_4: heap_5 with one region."""

from __future__ import annotations

from model.base import DEFAULT_BASE_ADDRESS
from model.heap_5 import Model5
from model.versions import Kernel


class Model4(Model5):
    """heap_4: what heap_5 is with one region. Set up by construction, not by the first malloc."""

    kind = 4

    def __init__(
        self,
        size: int,
        *,
        base_address: int = DEFAULT_BASE_ADDRESS,
        word_size: int = 4,
        alignment: int = 8,
        clear_on_free: bool = False,
        canary: int | None = None,
        fill: int = 0,
        kernel: Kernel | str | None = None,
    ) -> None:
        super().__init__(
            [(base_address, size)],
            word_size=word_size,
            alignment=alignment,
            clear_on_free=clear_on_free,
            canary=canary,
            fill=fill,
            kernel=kernel,
        )
