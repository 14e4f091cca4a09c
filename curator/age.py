"""Ages as keepers write them: 30m, 2h, 7d."""

import re
from datetime import timedelta
from typing import Any

import click

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
# What a calendar can take off from today.
_LONGEST = timedelta(days=36_500)


class Age(click.ParamType[timedelta, Any]):
    """A number and a unit."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Read it; a default may be one already."""
        if isinstance(value, timedelta):
            return value
        match = re.fullmatch(r"(\d{1,6})([smhdw])", str(value))
        if match is None:
            self.fail("is no age: a number and s, m, h, d or w, for example 2h", param, ctx)
        age = timedelta(**{_UNITS[match[2]]: int(match[1])})
        if age > _LONGEST:
            self.fail("is longer than a hundred years", param, ctx)
        return age
