"""`python -m linnet` is the `linnet` command."""

from linnet.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
