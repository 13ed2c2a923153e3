"""Tests of privatelink_lab.aws."""
