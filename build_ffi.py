# SPDX-License-Identifier: Apache-2.0
"""Builds tlsfast._native from csrc/: cffi in API mode, its declarations read verbatim from csrc/tlsfast_api.h."""

import sysconfig
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).parent
SOURCES = sorted(str(path.relative_to(HERE).as_posix()) for path in (HERE / "csrc").rglob("*.c"))
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))

ffi = FFI()
ffi.cdef((HERE / "csrc" / "tlsfast_api.h").read_text(encoding="utf-8"))
ffi.set_source(
    "tlsfast._native",
    '#include "tlsfast.h"',
    sources=SOURCES,
    include_dirs=["csrc"],
    # -O3 here because sysconfig's own flags may end in -O2. Hidden: the extension exports its init function alone.
    extra_compile_args=["-std=c11", "-O3", "-fno-strict-aliasing", "-fvisibility=hidden"],
    py_limited_api=not FREE_THREADED,
)

if __name__ == "__main__":
    ffi.compile(verbose=True)
