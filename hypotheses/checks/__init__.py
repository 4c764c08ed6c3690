"""Conformance suites for plug-ins."""
