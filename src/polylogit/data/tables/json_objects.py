"""JSON objects that know whether a name stands in them twice, of which readers silently take one value."""

from collections import Counter
from typing import Any

__all__ = ["JsonObject"]


class JsonObject(dict[str, Any]):
    """What `json.loads(text, object_pairs_hook=JsonObject)` makes of an object.

    Args:
        pairs: Names and values, in their order.

    Example:
        >>> import json
        >>> json.loads('{"legs": 4, "legs": 2}', object_pairs_hook=JsonObject).repeated
        'the name "legs" stands there 2 times. Leave one of them, or give each another name.'
        >>> json.loads('{"legs": {"legs": 4}}', object_pairs_hook=JsonObject).repeated is None
        True
    """

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.repeated: str | None = None
        """What a message says where a name is repeated; None where each stands there once."""
        if len(self) < len(pairs):
            name, times = Counter(name for name, _ in pairs).most_common(1)[0]
            self.repeated = (
                f'the name "{name}" stands there {times} times. Leave one of them, or give each another name.'
            )
