"""Check that the commands printed in README and book are ones that exist and parse."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import typer

from companion.cli.checks.markdown import Block, NotebookError, blocks, pages
from companion.runs.config import ParameterError

_SHELLS = {"bash", "sh", "shell", "zsh", "console", "shell-session"}
_PROMPTED = {"console", "shell-session"}
_RULE = re.compile(r"^(?P<targets>[\w./-]+(?:[ \t]+[\w./-]+)*)[ \t]*:(?![=:])", re.MULTILINE)
_WRAPPERS = {"time", "env", "nohup", "uv", "run"}


def check_commands(root: Path, app: typer.Typer) -> list[str]:
    """Check every ``mixflow ...`` and ``make ...`` in shell blocks of README, book, notebooks."""
    targets = make_targets(root / "Makefile")
    problems = []
    try:
        for page in pages(root):
            for number, words in shell_commands(page.text):
                problem = _problem(words, targets, app)
                if problem:
                    problems.append(
                        f"{page.name}, block at {number}: {shlex.join(words)}: {problem}"
                    )
    except NotebookError as error:
        problems.append(str(error))
    return problems


def shell_commands(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield ``(line of the block, words)`` of each simple command in shell code blocks."""
    for block in blocks(text):
        # "bash", "{code-block} bash", "bash title=..."
        language = [word for word in block.info.split() if word in _SHELLS]
        if not language:
            continue
        for line in _logical_lines(block, prompted=language[0] in _PROMPTED):
            yield from ((block.line, words) for words in _split(line) if words)


def _logical_lines(block: Block, *, prompted: bool) -> list[str]:
    """Return the commands of a block with continued lines joined and prompts removed."""
    text = "\n".join(block.lines).replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if not line.strip().startswith(":")]
    shown = [line for line in lines if line.startswith("$ ") or not prompted]
    return [line.removeprefix("$ ") for line in shown]


def _split(line: str) -> list[list[str]]:
    """Split a line at ``;``, ``&&``, pipes and redirections; drop assignments and wrappers."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    commands: list[list[str]] = [[]]
    try:
        for word in lexer:
            if set(word) <= set("();<>|&"):
                commands.append([])
            else:
                commands[-1].append(word)
    except ValueError:  # an open quote: no command of ours
        return []
    return [_bare(words) for words in commands]


def _bare(words: list[str]) -> list[str]:
    while words and (re.match(r"\w+=", words[0]) or words[0] in _WRAPPERS):
        words = words[1:]
    return words


def _problem(words: Sequence[str], targets: set[str] | None, app: typer.Typer) -> str | None:
    program = words[0].rsplit("/", 1)[-1]
    if program == "mixflow":
        return parse_problem(words[1:], app)
    if program.startswith("python") and list(words[1:3]) == ["-m", "mixflow"]:
        return parse_problem(words[3:], app)
    if program == "make":
        return _make_problem(words[1:], targets)
    return None


def make_targets(makefile: Path) -> set[str] | None:
    """Return the targets of a Makefile, or None if there is none."""
    if not makefile.is_file():
        return None
    text = makefile.read_text(encoding="utf-8")
    return {name for match in _RULE.finditer(text) for name in match["targets"].split()}


def _make_problem(words: Sequence[str], targets: set[str] | None) -> str | None:
    if targets is None:
        return "there is no Makefile"
    asked = [word for word in words if not word.startswith("-") and "=" not in word]
    unknown = [word for word in asked if word not in targets]
    return f"the Makefile has no target {', '.join(unknown)}" if unknown else None


def parse_problem(arguments: Sequence[str], app: typer.Typer) -> str | None:
    """Return what is wrong with the arguments of a ``mixflow`` command, or None.

    They are parsed by the command line itself, nothing is executed; experiments, profiles
    and parameters of ``mixflow run`` are validated too, unless a shell variable is in them.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            name, values = _parse(typer.main.get_command(app), list(arguments))
            if name == "run" and not any("$" in word for word in arguments):
                _configure(values)
        except (typer.Exit, typer.Abort):  # --help and --version
            return None
        except ParameterError as error:
            return str(error)
        except Exception as error:
            if not hasattr(error, "format_message"):  # what usage errors have
                raise
            return str(error.format_message())
    return None


def _parse(command: Any, arguments: list[str]) -> tuple[str, dict[str, Any]]:
    """Return the sub-command's name and its parsed parameters."""
    name, context = "mixflow", None
    while True:
        context = command.make_context(name, arguments, parent=context)
        if not hasattr(command, "resolve_command"):
            return name, context.params
        # Click renamed the attribute; the first word of the rest is the sub-command.
        first = getattr(context, "_protected_args", None) or getattr(context, "protected_args", [])
        name, command, arguments = command.resolve_command(context, [*first, *context.args])


def _configure(values: dict[str, Any]) -> None:
    from companion.cli.values import overrides
    from companion.runs.registry import find

    points = overrides(values["parameter"] or (), values["seeds"])
    find(values["experiment"]).configs(values["profile"], points)
