"""Tests of PrivateLink."""
