"""Tests with real packets, in namespaces that they make themselves."""
