"""What the command line says in text: parameter axes, seeds, tables, durations."""

from __future__ import annotations

import difflib
import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mixflow.files import parse_json

if TYPE_CHECKING:
    import pandas as pd

    from companion.runs.config import Config

_CONSTANTS = {"True": True, "False": False, "None": None}
_OPEN, _CLOSE = "[{(", "]})"
MOST_RUNS = 10_000  # of a command: each is looked up before the first one starts


def parse_value(text: str) -> Any:
    """Read a JSON literal, or ``True``, ``False``, ``None``; anything else is a string.

    Examples
    --------
    >>> parse_value("3"), parse_value("[1, 2]"), parse_value("letter")
    (3, [1, 2], 'letter')
    """
    from companion.runs.config import ParameterError

    if text in _CONSTANTS:
        return _CONSTANTS[text]
    try:
        return parse_json(text)
    except json.JSONDecodeError:
        return text
    except ValueError as error:  # JSON that nobody means: deep, or a number of thousands of digits
        raise ParameterError(f"value {text[:20]}...: {error}") from None


def parse_axis(text: str) -> list[Any]:
    """Read comma-separated values; commas inside brackets or quotes do not separate.

    Examples
    --------
    >>> parse_axis("1,2,[3,4]")
    [1, 2, [3, 4]]
    """
    parts, depth, quoted = [""], 0, False
    for letter in text:
        quoted ^= letter == '"'
        depth += 0 if quoted else (letter in _OPEN) - (letter in _CLOSE)
        if letter == "," and depth == 0 and not quoted:
            parts.append("")
        else:
            parts[-1] += letter
    return [parse_value(part.strip()) for part in parts]


def parse_parameters(texts: Iterable[str], *, axes: bool = True) -> dict[str, Any]:
    """Read ``name=value`` texts into name -> list of values (or one value without axes).

    Raises
    ------
    ParameterError
        If a text is not of that form or a name comes twice.
    """
    from companion.runs.config import ParameterError

    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not (name and equals):
            raise ParameterError(f"-p {text!r} is not of the form name=value")
        if name in values:
            raise ParameterError(f"-p {name} is given twice; write -p {name}=VALUE,VALUE")
        values[name] = parse_axis(value) if axes else parse_value(value.strip())
    return values


def parse_seeds(text: str) -> list[int]:
    """Read ``0-4`` or ``0,2,5`` or both mixed.

    Raises
    ------
    ParameterError
        If it is neither, or is more than a command can run.

    Examples
    --------
    >>> parse_seeds("0-2,7")
    [0, 1, 2, 7]
    """
    from companion.runs.config import ParameterError

    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not (_is_seed(first) and (_is_seed(last) or not dash)):
            raise ParameterError(f"--seeds {text[:40]!r}: expected such as 0-4 or 0,2,5")
        wanted = range(int(first), int(last if dash else first) + 1)
        _check_number("seeds", len(seeds) + len(wanted))
        seeds += wanted
    if not seeds:
        raise ParameterError(f"--seeds {text!r} is an empty range; write the smaller end first")
    return list(dict.fromkeys(seeds))


def _is_seed(text: str) -> bool:
    return text.isdecimal() and len(text) <= 18


def _check_number(what: str, n: int) -> None:
    from companion.runs.config import ParameterError

    if n > MOST_RUNS:
        raise ParameterError(f"{n} {what} in one command; ask for at most {MOST_RUNS} at a time")


def overrides(parameters: Iterable[str], seeds: str | None = None) -> list[dict[str, Any]]:
    """Return the cross product of the ``-p`` axes and the seeds; ``[{}]`` without any.

    Raises
    ------
    ParameterError
        If a text does not parse, ``profile`` or ``seed`` is set in two places, or it is more
        than a command can run.
    """
    from companion.runs.config import ParameterError

    axes = parse_parameters(parameters)
    if "profile" in axes:
        raise ParameterError("-p profile=...: use --profile")
    if seeds is not None:
        if "seed" in axes:
            raise ParameterError("-p seed=... and --seeds: give one of them")
        axes["seed"] = parse_seeds(seeds)
    _check_number("points", math.prod(map(len, axes.values())))
    return [dict(zip(axes, point, strict=True)) for point in itertools.product(*axes.values())]


def require(what: str, name: str | None, known: Iterable[str]) -> None:
    """Raise ``ParameterError`` with a "did you mean" unless the name is known or None."""
    from companion.runs.config import ParameterError

    options = list(dict.fromkeys(known))
    if name is not None and name not in options:
        close = difflib.get_close_matches(name, options, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ParameterError(f"unknown {what} {name!r}{hint} (known: {', '.join(options)})")


def varying(configs: Sequence[Config]) -> list[str]:
    """Return the fewest fields that tell the configs apart, leaving out later ones first.

    A recipe that follows from the model need not be spelt out beside the model's name.
    """
    dumps = [config.model_dump(mode="json") for config in configs]
    texts = [{name: json.dumps(value) for name, value in dump.items()} for dump in dumps]

    def kinds(names: Sequence[str]) -> int:
        return len({tuple(text[name] for name in names) for text in texts})

    names = list(dumps[0]) if dumps else []
    for name in reversed(names):
        fewer = [other for other in names if other != name]
        if kinds(fewer) == kinds(names):
            names = fewer
    return names


def label(config: Config, fields: Iterable[str]) -> str:
    """Return ``name=value`` of the fields, the seed last."""
    values = config.model_dump(mode="json")
    ordered = sorted(fields, key=lambda name: name == "seed")
    return " ".join(f"{name}={values[name]}" for name in ordered) or f"seed={values['seed']}"


def duration(seconds: float) -> str:
    """Return such as ``3.2 s``, ``4:05`` (minutes) or ``1:02:03`` (hours).

    Examples
    --------
    >>> duration(3.21), duration(245), duration(3723)
    ('3.2 s', '4:05', '1:02:03')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def table(frame: pd.DataFrame) -> str:
    """Return a frame as aligned text: numbers with 4 significant digits, blanks for NaN."""
    texts = [list(map(str, frame.columns))]
    texts += [[_cell(value) for value in line] for line in frame.itertuples(index=False)]
    numeric = [frame[name].dtype.kind in "if" for name in frame.columns]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    lines = []
    for line in texts:
        cells = zip(line, widths, numeric, strict=True)
        padded = [text.rjust(width) if right else text.ljust(width) for text, width, right in cells]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def clipped(frame: pd.DataFrame, widths: Mapping[str, int]) -> pd.DataFrame:
    """Return a frame of text whose columns are no wider than so many letters."""
    return frame.assign(
        **{
            name: [text if len(text) <= width else text[: width - 1] + "…" for text in frame[name]]
            for name, width in widths.items()
        }
    )


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.4g}"
    return "" if value is None else str(value)


def records(frame: pd.DataFrame) -> str:
    """Return a frame as a JSON list of objects, null for NaN."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return json.dumps(rows, indent=1)
