"""What counts as a number in a config: no truth value, no text, nothing that needs terabytes."""

from __future__ import annotations

from functools import cache
from typing import Any

import pydantic
from pydantic import BaseModel, ConfigDict
from pydantic.annotated_handlers import GetCoreSchemaHandler

MOST = 1_000_000  # a whole number whose field names no largest value
# Of what memory grows with as fast as with the samples, or faster.
MOST_OF = {
    "seed": 2**31 - 1,
    "n_components": 2_000,
    "n_mixture": 1_000,
    "n_blocks": 1_000,
    "n_layers": 1_000,
    "hidden_layers": 1_000,
    "posterior_layers": 1_000,
    "shared_layers": 1_000,
    "hidden_features": 10_000,
    "posterior_features": 10_000,
    "discriminator_width": 1_000,
    "judge_width": 1_000,
    "size": 10_000,
    "picture_size": 10_000,
    "crop_size": 10_000,
    "n_targets": 10_000,
}
_EXACT = ("int", "float", "bool")


def with_limits(schema: Any, field: str = "") -> Any:
    """Return a schema of pydantic whose numbers are strict and bounded.

    ``true`` is no 1, ``"3"`` no 3, ``1`` no truth value, and a whole number in a field that names
    no largest value is at most ``MOST_OF`` its field, or ``MOST``.
    """
    if isinstance(schema, list | tuple):
        return type(schema)(with_limits(part, field) for part in schema)
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == "model-fields":
        fields = {name: with_limits(part, name) for name, part in schema["fields"].items()}
        return {**schema, "fields": fields}
    changed = {name: with_limits(part, field) for name, part in schema.items()}
    if schema.get("type") in _EXACT:
        changed["strict"] = True
    if schema.get("type") == "int" and schema.keys().isdisjoint({"le", "lt"}):
        changed["le"] = MOST_OF.get(field, MOST)
    return changed


class Bounded(BaseModel):
    """A model whose numbers are strict, finite and bounded, see ``with_limits``."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> Any:
        """Let pydantic make the schema, then change its numbers."""
        return with_limits(handler(source))


@cache
def fields_of(model: type[Bounded]) -> type[Bounded]:
    """Return a model of the same fields, without the rules that a model has about several.

    Such rules may look up a recipe by a value before its type is known to be right.
    """
    fields: dict[str, Any] = {n: (info.annotation, info) for n, info in model.model_fields.items()}
    return pydantic.create_model(model.__name__, __base__=Bounded, **fields)
