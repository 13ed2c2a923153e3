"""Tests of ELBv2."""
