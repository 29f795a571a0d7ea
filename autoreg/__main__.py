"""``python -m autoreg`` is the command line."""

from autoreg.cli import main

if __name__ == "__main__":
    main()
