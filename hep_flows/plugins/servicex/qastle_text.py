"""From the syntax tree of a query to its text in qastle."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ast


def qastle_text(query: ast.expr) -> str:
    """Give the text of a query."""
    import qastle

    text: str = qastle.python_ast_to_text_ast(query)
    return text
