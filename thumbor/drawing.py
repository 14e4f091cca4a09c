"""SVG as Thumbor gets it: drawn on white by resvg, in a child process, just large enough for what is asked.

In a child, because resvg ends its process where memory does not suffice, and has no limit of time.
"""

import asyncio
import os
import sys
from pathlib import Path

from thumbor.context import Context

_CHILD = Path(__file__).with_name("drawing_child.py")
# The child bounds its own time, too.
_SECONDS = 15
_at_once = asyncio.Semaphore(len(os.sched_getaffinity(0)))


class NotDrawn(Exception):  # noqa: N818 - an outcome
    """It is no drawing that may be drawn, or it takes too much."""


async def drawn(svg: bytes, context: Context) -> bytes:
    """A drawing as PNG; of its own size, or larger or smaller where only a size is asked."""
    request = context.request
    asked = (0, 0) if request.should_crop else (_number(request.width), _number(request.height))
    async with _at_once:
        try:
            return await _drawn(svg, *asked, int(bool(request.fit_in)))
        except NotDrawn:
            # Filters and masks cost by the pixel: what is too much enlarged may do in its own size.
            if not any(asked):
                raise
            return await _drawn(svg, 0, 0, 0)


async def _drawn(svg: bytes, *arguments: int) -> bytes:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        str(_CHILD),
        *map(str, arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        # Nothing else of our environment: it holds our keys.
        env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    try:
        png, _ = await asyncio.wait_for(child.communicate(svg), _SECONDS)
    except TimeoutError:
        raise NotDrawn("it takes too long") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode != 0:
        raise NotDrawn(f"the child ended with {child.returncode}")
    return png


def _number(asked: object) -> int:
    return asked if isinstance(asked, int) else 0
