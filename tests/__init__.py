"""The tests of linnet: `make test` runs them in both forms."""
