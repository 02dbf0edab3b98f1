"""Let the site show the `Example:` sections of docstrings as code: griffe knows that section by its plural only."""

import re

import griffe


class ExampleSections(griffe.Extension):
    """Renames the sections when the docstrings are collected."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: object) -> None:
        """Rename the section in the docstring of a module, class, function or attribute."""
        if obj.docstring is not None:
            obj.docstring.value = re.sub(r"^( *)Example:$", r"\1Examples:", obj.docstring.value, flags=re.MULTILINE)
