"""A number as JSON has it."""

from __future__ import annotations

import math
from typing import Any


def plain_number(value: Any) -> Any:
    """Give a value that JSON can hold; what is not finite is a text: ``"nan"``, ``"inf"``, ``"-inf"``."""
    if hasattr(value, "tolist"):  # of numpy, or a record of awkward
        value = value.tolist()
    match value:
        case float() if not math.isfinite(value):
            return str(value)
        case dict():
            return {str(k): plain_number(v) for k, v in value.items()}
        case list() | tuple():
            return [plain_number(v) for v in value]
        case None | bool() | int() | float() | str():
            return value
        case _:
            return str(value)
