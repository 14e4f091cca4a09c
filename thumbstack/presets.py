"""Presets: names for Thumbor option strings."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from thumbstack.options import Options, read_crop, read_options
from thumbstack.refusal import BadOptions

SHIPPED = Path(__file__).with_name("presets.toml")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")


def read_presets(path: Path = SHIPPED) -> Mapping[str, str]:
    """Read ``name = "options"`` lines of TOML; a ValueError names what is wrong with which preset."""
    try:
        presets = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f'{path.name} is no TOML, like XS = "fit-in/78x78": {error}') from None
    for name, options in presets.items():
        if not _NAME.fullmatch(name) or not isinstance(options, str):
            raise ValueError(f"{path.name}: {name!r} must be a name of letters and digits with an option string")
        try:
            read_options(options)
        except BadOptions as refusal:
            raise ValueError(f"{path.name}: preset {name}: {refusal.sentence}") from refusal
    return presets


def options_of_part(presets: Mapping[str, str], crop: str) -> dict[str, str]:
    """The presets' options for a picture of which a part was chosen at publishing (``WxH+X+Y``); empty: all of it."""
    box = read_crop(crop)
    read = {name: read_options(text) for name, text in presets.items()}
    return {name: str(options.cropped(*box) if box else options) for name, options in read.items()}


def chosen_options(presets: Mapping[str, str], options: str, preset: str) -> Options:
    """The options that were asked by themselves, or by a preset's name; raises BadOptions."""
    if preset and options:
        raise BadOptions("Send a preset or options, not both.")
    if not preset:
        return read_options(options)
    if preset not in presets:
        raise BadOptions("There is no preset of that name.")
    return read_options(presets[preset])
