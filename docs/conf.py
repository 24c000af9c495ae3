"""Sphinx settings; ``nox -s docs`` builds with warnings as errors."""

import re
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "beamfast" / "__init__.py"
VERSION = re.search(
    r'^__version__: Final = "(.+)"', PACKAGE.read_text("utf-8"), re.MULTILINE
)
assert VERSION is not None

project = "beamfast"
author = "The beamfast developers"
release = version = VERSION[1]

sys.path.insert(0, str(Path(__file__).parent))
extensions = ["myst_parser", "plugin_options", "class_members"]
exclude_patterns = ["_build"]
nitpicky = True

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"beamfast {release}"
