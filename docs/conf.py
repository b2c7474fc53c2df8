"""Sphinx's configuration; `make docs` builds offline and takes a warning for an error."""

import tomllib
from pathlib import Path

_project = tomllib.loads(Path(__file__).parents[1].joinpath("pyproject.toml").read_text())

project = "nowcast"
author = "the nowcast authors"
copyright = "the nowcast authors, Apache License 2.0"
release = version = _project["project"]["version"]

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
nitpicky = True

html_theme = "furo"
html_title = "nowcast"
html_theme_options = {"navigation_with_keys": True}
