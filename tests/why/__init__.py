"""Tests of why: causes, evidence, and the command."""
