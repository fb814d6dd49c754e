# SPDX-License-Identifier: Apache-2.0
"""The two things pyproject.toml cannot say: the cffi module, and the abi3 tag (left off on free-threaded builds, which have no stable ABI)."""

import sysconfig

from setuptools import setup

FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
setup(cffi_modules=["build_ffi.py:ffi"], options={} if FREE_THREADED else {"bdist_wheel": {"py_limited_api": "cp311"}})
