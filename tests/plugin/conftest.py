"""The package here is installed and run by tests/hypotheses/test_plugin.py; its own tests need it installed."""

collect_ignore_glob = ["*"]
