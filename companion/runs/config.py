"""What describes a run completely: its ``Config``, whose digest is the run's name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, get_args

from pydantic import Field

from companion.runs.numbers import Bounded

Profile = Literal["smoke", "laptop", "paper"]
PROFILES: tuple[str, ...] = get_args(Profile)


class ParameterError(ValueError):
    """A parameter has an unknown name, a wrong type or a value out of range."""


class Config(Bounded):
    """Describe one run completely: equal configs give equal rows.

    Subclasses add the experiment's own parameters, with types, ranges and a description
    each. Numbers are strict (``true`` is no 1), finite, and whole ones have a largest value even
    where a field names none. Where and how fast a run goes (device, threads) is no part of it.

    Attributes
    ----------
    added
        Parameters that came after runs were stored, whose default is what those runs did: at
        that default they leave the digest as it was.
    """

    added: ClassVar[tuple[str, ...]] = ()

    profile: Profile = Field("smoke", description="size of the run: smoke, laptop or paper")
    seed: int = Field(0, ge=0, description="seeds the initialisation and every random draw")

    def digest(self) -> str:
        """Return the 12 hex digits that name this run's directory (sha256 of the sorted config)."""
        return self.digest_of(self.model_dump(mode="json"))

    @classmethod
    def digest_of(cls, values: Mapping[str, Any]) -> str:
        """Return the digest of stored values."""
        text = json.dumps(cls.identity(values), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @classmethod
    def identity(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return what tells runs apart of stored values: all but what was added, at its default."""
        absent = {name: cls.model_fields[name].default for name in cls.added}
        return {n: v for n, v in values.items() if n not in absent or v != absent[n]}

    def data_sets(self) -> tuple[str, ...]:
        """Return what the run reads, by name: its ``dataset``, if it has one; registered or not."""
        named = getattr(self, "dataset", None)
        return (named,) if isinstance(named, str) else tuple(named or ())
