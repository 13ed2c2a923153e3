"""Tests of the local AWS; a package, so that its conftest has a name of its own."""
