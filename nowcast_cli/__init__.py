"""A command-line toolkit to build, run and watch automated forecast systems."""
