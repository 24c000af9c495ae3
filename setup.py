"""The extension modules; everything else is in pyproject.toml."""

from setuptools import Extension, setup

# Plain -O3 and no -march: wheels run on every CPU of their platform, and the
# portable block loops in _native/ vectorise well enough (docs/explanation).
COMPILE = ["-O3", "-g0", "-fvisibility=hidden"]
KERNELS = [
    f"beamfast/_native/{name}.h"
    for name in ("conn", "decimal", "frame", "mask", "queue", "topic", "utf8")
]


def extension(name: str, *needs: str) -> Extension:
    """Describe ``beamfast/<name>.pyx``; ``needs`` are the modules it cimports."""
    declarations = [f"beamfast/{module}.pxd" for module in (name, *needs)]
    return Extension(
        f"beamfast.{name}",
        [f"beamfast/{name}.pyx"],
        depends=[*KERNELS, *declarations],
        include_dirs=["beamfast/_native"],
        extra_compile_args=COMPILE,
    )


setup(
    ext_modules=[
        extension("_frames"),
        extension("_fields"),
        extension("_head"),
        extension("_slots"),
        extension("_scan", "_fields", "_slots"),
        extension("_answer", "_fields", "_slots"),
        extension("_known", "_fields", "_slots"),
        extension("_logline", "_slots"),
        extension("_phases", "_fields"),
        extension("_inbox"),
        extension("_wheel"),
        extension("_shortway", "_answer", "_fields", "_scan", "_slots", "_wheel"),
        extension("_backlog"),
        extension("_wire", "_backlog", "_wheel"),
        extension("_outbound", "_backlog", "_frames", "_wire", "_wheel"),
        extension("_sending", "_backlog", "_frames", "_outbound", "_wire", "_wheel"),
        extension("_intake", "_backlog", "_frames", "_outbound", "_wire", "_wheel"),
        extension("_lanes", "_backlog", "_outbound", "_wire", "_wheel"),
        extension("_topic", "_backlog", "_lanes", "_outbound", "_wire", "_wheel"),
        extension(
            "_fanout", "_backlog", "_lanes", "_outbound", "_topic", "_wire", "_wheel"
        ),
    ]
)
