"""The three extension modules; all else is in pyproject.toml, which knows no patterns of files."""

import sys
from glob import glob

from setuptools import Extension, setup

LIMITED_API = ("Py_LIMITED_API", "0x030B0000")
WINDOWS = sys.platform == "win32"
# MSVC takes C11 when it is told to; the others do anyway.
C11 = ["/std:c11"] if WINDOWS else []
# word_size.h includes the core and these, once per word size.
INCLUDED = ["csrc/host/newlib_nano.c", *glob("csrc/core/*.c")]
DEPENDS = sorted(
    [*INCLUDED, *glob("csrc/core/*.h"), *glob("csrc/host/*.h"), *glob("csrc/policies/*.h")]
)

setup(
    ext_modules=[
        Extension(
            "rtosheap._core",
            sorted({*glob("csrc/python/*.c"), *glob("csrc/host/*.c")} - set(INCLUDED)),
            depends=[*DEPENDS, *glob("csrc/python/*.h")],
            include_dirs=["csrc/core", "csrc/host"],
            define_macros=[LIMITED_API, ("RH_HOSTED", "1"), ("RH_CHECKS", "2")],
            extra_compile_args=C11,
            extra_link_args=[] if WINDOWS else ["-pthread"],
            py_limited_api=True,
        ),
        Extension(
            "rtosheap._formats",
            sorted(glob("csrc/formats/*.c")),
            depends=sorted(glob("csrc/formats/*.h")),
            include_dirs=["csrc/formats"],
            define_macros=[LIMITED_API],
            extra_compile_args=C11,
            py_limited_api=True,
        ),
        Extension(
            "rtosheap._lab",
            ["csrc/host/versions.c", *sorted(glob("csrc/lab/*.c"))],
            depends=[*DEPENDS, *glob("csrc/lab/*.h")],
            include_dirs=["csrc/core", "csrc/host", "csrc/lab"],
            define_macros=[LIMITED_API],
            extra_compile_args=C11,
            py_limited_api=True,
        ),
    ]
)
