"""
Build the C programs of the benchmarks: the raw server and the load generator.

They go to ``build/benches``, and are built again when a source is newer.
"""

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
        subprocess.run([compiler, *flags, "-o", built, source], check=True)
    return built


if __name__ == "__main__":
    for name in SOURCES:
        print(program(name))
