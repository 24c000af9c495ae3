"""
Build the C programs of the benchmarks: the raw server and the load generator.

They go to ``build/benches``, and are built again when a source is newer.
"""

import functools
import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
BUILT = HERE.parent / "build" / "benches"
SOURCES = {"server": HERE / "raw", "load": HERE / "load"}


def program(name: str) -> Path:
    """Return the path of ``server`` or ``load``, built if needed."""
    folder = SOURCES[name]
    built = BUILT / name
    newest = max(source.stat().st_mtime for source in folder.glob("*.[ch]"))
    if not built.exists() or built.stat().st_mtime < newest:
        compiler = os.environ.get("CC") or shutil.which("cc")
        if compiler is None:
            raise SystemExit("the benchmarks need a C compiler")
        BUILT.mkdir(parents=True, exist_ok=True)
        source = folder / f"{name}.c"
        flags = ["-O2", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror"]
        libraries = []
        if name == "load" and has_tls():
            flags.append("-DWITH_TLS")
            libraries = ["-lssl", "-lcrypto"]
        subprocess.run([compiler, *flags, "-o", built, source, *libraries], check=True)
    return built


@functools.cache
def has_tls() -> bool:
    """Tell whether there are headers for a load generator that encrypts."""
    compiler = os.environ.get("CC") or shutil.which("cc") or ""
    tried = subprocess.run(
        [compiler, "-fsyntax-only", "-x", "c", "-"],
        input=b"#include <openssl/ssl.h>",
        capture_output=True,
        check=False,
    )
    return tried.returncode == 0


if __name__ == "__main__":
    for name in SOURCES:
        print(program(name))
