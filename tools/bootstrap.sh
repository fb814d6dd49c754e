#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes a virtual environment with tlsfast built in place, and says in one sentence what the machine lacks for it.
#
#     sh tools/bootstrap.sh VENV EXTRA...         the environment, these extras of pyproject.toml, the extension
#     sh tools/bootstrap.sh --extra VENV EXTRA    one extra more for an environment that is there
#
# $PYTHON is the interpreter; without it, the first new enough of those on the PATH. Run from the repository's root: the Makefile does.
set -eu

have() { command -v "$1" >/dev/null 2>&1; }

die() {
    printf 'tlsfast: %s\n' "$1" >&2
    exit 1
}

# The command that installs a package: its name on Debian, Fedora, Alpine and Homebrew.
mend() {
    if have apt-get; then echo "sudo apt-get install -y $1"
    elif have dnf; then echo "sudo dnf install -y $2"
    elif have apk; then echo "sudo apk add $3"
    elif have brew; then echo "brew install $4"
    else echo "your package manager's install command for $1"
    fi
}

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    wanted=$(mend 'python3 python3-venv python3-dev' 'python3.12 python3.12-devel' 'python3 python3-dev' 'python@3.13')
    if [ -n "${PYTHON:-}" ]; then
        new_enough "$PYTHON" || die "PYTHON=$PYTHON is not Python 3.11 or newer: name one that is, or run: $wanted"
        python=$PYTHON
        return
    fi
    for python in python3 python3.13 python3.12 python3.11 python3.14 python; do
        if new_enough "$python"; then return; fi
    done
    found=$(python3 --version 2>/dev/null || echo 'no Python 3')
    die "Python 3.11 or newer is needed and $found is here: run: $wanted (or name another interpreter: make PYTHON=...)"
}

# Debian ships venv without ensurepip unless python3.x-venv is installed.
check_venv() {
    "$python" -c 'import ensurepip, venv' >/dev/null 2>&1 ||
        die "Python's venv module is not complete here: run: $(mend "python$version-venv" "python$version" py3-pip "python@$version")"
}

compiles() {
    printf '#include <stdint.h>\n#include <stdlib.h>\n#include <string.h>\nint main(void) { return 0; }\n' >"$scratch/t.c"
    # Unquoted: CC may hold options ("gcc -pthread").
    $1 -std=c11 "$scratch/t.c" -o "$scratch/t" >/dev/null 2>&1
}

# setuptools takes $CC, else the compiler that Python itself was built with, which need not be on this machine.
check_compiler() {
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    for compiler in "${CC:-$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("CC") or "cc")')}" cc gcc clang; do
        if compiles "$compiler"; then
            CC=$compiler
            export CC
            return
        fi
    done
    die "no C compiler that works is here: run: $(mend 'gcc libc6-dev' 'gcc glibc-devel' 'gcc musl-dev' gcc) (or name one: make CC=...)"
}

check_header() {
    "$python" -c 'import os, sysconfig as s; raise SystemExit(not os.path.exists(s.get_path("include") + "/Python.h"))' ||
        die "Python.h, the header for building extensions, is not here: run: $(mend "python$version-dev" "python$version-devel" python3-dev "python@$version")"
}

# What pyproject.toml names, so that a failure to download is told from a failure to build.
requirements() {
    "$venv/bin/python" - "$@" <<'END'
import sys, tomllib

with open("pyproject.toml", "rb") as file:
    settings = tomllib.load(file)
project = settings["project"]
wanted = settings["build-system"]["requires"] + project["dependencies"]
for extra in sys.argv[1:]:
    wanted += project["optional-dependencies"][extra]
print("\n".join(wanted))
END
}

download() {
    requirements "$@" >"$venv/.requirements"
    "$venv/bin/python" -m pip install -q --disable-pip-version-check --retries 2 -r "$venv/.requirements" 2>"$venv/.pip-errors" && return
    tail -n 5 "$venv/.pip-errors" >&2
    die "cffi, cryptography and the tools could not be downloaded: mend the network or name your proxy, then try again: export HTTPS_PROXY=http://HOST:PORT (or give a folder of wheels: export PIP_NO_INDEX=1 PIP_FIND_LINKS=DIR)"
}

build() {
    if [ "$1" = install ]; then
        # The extension goes first: setuptools does not look at the headers' times.
        rm -f tlsfast/_native*.so
        set -- -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
    else
        set -- setup.py -q build_ext --inplace --force
    fi
    "$venv/bin/python" "$@" >"$venv/.build-output" 2>&1 && return
    cat "$venv/.build-output" >&2
    die "the extension did not build: the compiler's own words stand above (start afresh with: make clean build)"
}

if [ "$1" = --extra ]; then
    venv=$2
    download "$3"
    exit
fi
venv=$1
shift
mkdir -p build
# Two runs at once would write the same objects. Where there is no flock, nothing waits.
if have flock; then
    exec 9>build/.lock
    flock 9
fi

if new_enough "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    python=$venv/bin/python
else
    find_python
fi
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
check_compiler
check_header
if [ "$python" != "$venv/bin/python" ]; then
    check_venv
    echo "tlsfast: making $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv"
fi
if [ ! -e "$venv/.installed" ] || [ -n "$(find pyproject.toml tools/bootstrap.sh -newer "$venv/.installed")" ]; then
    echo "tlsfast: installing and building; this takes a minute"
    download "$@"
    build install
    touch "$venv/.installed"
else
    echo "tlsfast: building the extension"
    build again
fi
