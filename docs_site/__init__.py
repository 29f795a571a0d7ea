"""The documentation site: what is made from the package when mkdocs builds it."""
