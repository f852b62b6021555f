"""What a table of settings is made of, and the command line that follows from it.

A setting is a dataclass field made by `setting()`; its `Option` travels in the field's metadata.
"""

from __future__ import annotations

import argparse
import functools
import io
import sys
import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import field, fields
from typing import Any, Final, NamedTuple, NoReturn

from base.errors import ConfigError
from base.texts import Said, said, text, texts
from settings.kinds import PREFIX, YES_NO, Kind, shown

HELP: Final = "help"
METADATA_KEY: Final = "option"
NEAR: Final = 0.75
# A hyphen, and what word processors and input methods make of one.
DASHES: Final = tuple("-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u30fc\uff0d\uff70")
KEY_FLAGS: Final = ("--acestep-api-key", "--api-key", "--key")
# Names that shells and other programs use too: zsh exports its PROMPT. The environment must say that we are meant.
PREFIXED: Final = frozenset({"PROMPT", "ENGINE", "VOLUME", "STATION", "PLAYER", "PLAIN", "THINKING", "POMODORO"})
EXAMPLES: Final = {
    "make run": "run",
    "python prototype/app.py --station piano --for 50m": "",
    'python prototype/app.py --prompt "warm tape piano, soft rain" --pomodoro 25/5': "",
    "python prototype/app.py --engine builtin": "builtin",
    "python prototype/app.py --check": "check",
    "python prototype/app.py --render a.wav b.flac -o programme.wav": "",
}
"""Of the command line, and the texts beside them: `help.example.<word>`."""


class Option(NamedTuple):
    """One setting: its names, how its text is read, and what a person is told about it (with the text `option.<name>`).

    `env` is "" for what only the command line may say, `flags` empty for what it must not.
    `group` is the word of its heading, the text `help.group.<word>`. `default` is text like any other, or None where
    the setting is normally not set. `unset` is the value where there is no text. A setting of several words (`many`) is
    a tuple of what its kind parses; one that goes on `to_end` takes all words that follow, whatever they look like.
    """

    kind: Kind[Any]
    default: str | None
    group: str
    name: str = ""
    env: str | None = None
    flags: tuple[str, ...] | None = None
    unset: Any = None
    example: str = ""
    many: bool = False
    to_end: bool = False

    def named(self, name: str) -> Option:
        """Return the option with the names that follow from its field's name, where none were given."""
        env = name.upper() if self.env is None else self.env
        flags = (f"--{name.replace('_', '-')}",) if self.flags is None else self.flags
        return self._replace(name=name, env=env, flags=flags)

    @property
    def variable(self) -> str:
        """Its name in the environment; `env` is the one in `.env`."""
        return f"{PREFIX}{self.env}" if self.env in PREFIXED else self.env or ""

    def help(self, language: str = "en") -> str:
        """Return what it is for."""
        return text(language, f"option.{self.name}")

    @property
    def accepted(self) -> Said:
        """What may be given, as the end of the sentence "give …"."""
        example = self.example or self.default
        if example and example not in str(self.kind.accepts) and not self.kind.secret:
            return said("accepts.example", accepted=self.kind.accepts, example=example)
        return self.kind.accepts


def setting(kind: Kind[Any], default: str | None, group: str, **rest: Any) -> Any:
    """Declare a dataclass field as a setting; `rest` are the further fields of its `Option`."""
    option = Option(kind, default, group, **rest)
    value = option.unset if default is None else kind.parse(default)
    return field(default=value, repr=not kind.secret, metadata={METADATA_KEY: option})


def options_of(table: type[Any]) -> tuple[Option, ...]:
    """Return the options of a dataclass whose fields were made by `setting()`, in their order."""
    return tuple(f.metadata[METADATA_KEY].named(f.name) for f in fields(table) if METADATA_KEY in f.metadata)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Wraps by the cells of a terminal, of which a Japanese letter takes two; any such letter may begin a line."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        wide = "".join(char + "\0" * (unicodedata.east_asian_width(char) in "FW") for char in text)
        return [line.replace("\0", "") for line in textwrap.wrap(wide, width)]


def _make_parser(options: Iterable[Option], version: str, language: str = "") -> argparse.ArgumentParser:
    """Build the command line of `options`: every value stays text, so that all faults can be told at once.

    With a `language` it describes itself: texts are slow to read.
    """
    say = functools.partial(text, language) if language else lambda key, **fields: key
    parser = argparse.ArgumentParser(
        prog="app.py",
        usage="python prototype/app.py [options]",
        description=say("help.description"),
        epilog=_epilog(language) if language else "",
        allow_abbrev=False,
        add_help=False,
        exit_on_error=False,
        formatter_class=lambda prog: _Formatter(prog, max_help_position=32),
    )
    groups: dict[str, Any] = {}
    for option in options:
        if not option.flags:
            continue
        if option.group not in groups:
            groups[option.group] = parser.add_argument_group(say(f"help.group.{option.group}"))
        how: dict[str, Any] = {"dest": option.name, "default": argparse.SUPPRESS}
        if option.kind is YES_NO:
            how["action"] = argparse.BooleanOptionalAction if option.env else "store_true"
        else:
            how["metavar"] = option.kind.metavar
            how["nargs"] = argparse.REMAINDER if option.to_end else "+" if option.many else None
        groups[option.group].add_argument(*option.flags, help=_help_line(option, language) if language else None, **how)
    last = parser.add_argument_group(say("help.group.help"))
    for flags, words in ((("-h", "--help"), ""), (("--version",), f"app.py {version}\n")):
        how = {"dest": HELP, "action": "store_const", "const": words, "default": argparse.SUPPRESS}
        last.add_argument(*flags, help=say(f"option{flags[-1].replace('--', '.')}"), **how)
    return parser


def show_help(options: Iterable[Option], version: str, language: str) -> NoReturn:
    """Print `version`, else what can be given, and end the program. Raises ConfigError where that cannot be printed."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without Japanese letters
    try:
        sys.stdout.write(version or _make_parser(options, version, language).format_help())
        sys.stdout.flush()
    except OSError as error:
        raise ConfigError([said("output.refused", reason=error)], language) from error
    raise SystemExit(0)


def _epilog(language: str) -> str:
    named = {"names": ", ".join(sorted(PREFIXED)), "modes": text(language, "help.group.modes")}
    notes = [text(language, key, **named) for key in texts(language) if key.startswith("help.note.")]
    examples = [
        f"  {command:49}{text(language, f'help.example.{word}')}" if word else f"  {command}"
        for command, word in EXAMPLES.items()
    ]
    return "\n".join([*notes, "", text(language, "help.examples"), *examples])


def _help_line(option: Option, language: str) -> str:
    facts = []
    if option.env and option.kind is not YES_NO:
        facts.append(option.kind.accepts.words(language))
    if option.env and option.default is not None:
        facts.append(text(language, "help.default", value=option.default))
    if option.env and f"--{option.variable.lower().replace('_', '-')}" not in (option.flags or ()):
        facts.append(text(language, "help.variable", name=option.variable))
    return (option.help(language) + (f" [{'; '.join(facts)}]" if facts else "")).replace("%", "%%")


def read_command_line(
    options: Sequence[Option], version: str, argv: Sequence[str], faults: list[Said]
) -> dict[str, str | list[str]]:
    """Return the text of each option that was given; unknown ones are added to `faults`.

    Words that follow an unknown option are not repeated, as they may be a secret.
    """
    try:
        known, unknown = _make_parser(options, version).parse_known_args(list(argv))
    except argparse.ArgumentError as refused:
        faults.append(_without_fit(refused, options))
        return {}
    flags = [flag for option in options for flag in option.flags or ()]
    for before, word in zip(["", *unknown], unknown, strict=False):
        if word.startswith(DASHES):
            faults.append(_unknown_option(word.split("=", 1)[0], flags))
        elif not before.startswith(DASHES):
            faults.append(said("fault.stray_word", word=shown(word)))
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in vars(known).items()}


def _without_fit(refused: argparse.ArgumentError, options: Iterable[Option]) -> Said:
    """Return the fault of an option that has no value where it needs one, or one where it takes none."""
    flag = (refused.argument_name or "").split("/")[0]
    option = next((option for option in options if flag in (option.flags or ())), None)
    if option is None or option.kind is YES_NO:
        return said("fault.takes_no_value", option=flag)
    return said("fault.needs_value", option=flag, accepted=option.accepted)


def _unknown_option(flag: str, flags: list[str]) -> Said:
    if flag in KEY_FLAGS:
        return said("fault.key_option", option=flag)
    import difflib  # only for a mistake

    meant = "--" + unicodedata.normalize("NFKC", flag).lstrip("".join(DASHES))
    for near in difflib.get_close_matches(meant, flags, 1, NEAR):
        return said("fault.near_option", option=shown(flag), near=near)
    return said("fault.unknown_option", option=shown(flag))
