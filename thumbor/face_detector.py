"""Thumbor's detector of faces, for ``smart/``: stock's cascade, by a thread of the engine's and in a small copy.

Stock's own works on the event loop, on all pixels, with one cascade for all threads, and importing its base class
imports OpenCV: 45 MB and a quarter of a second, which a process spends here when it looks for its first face.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from thumbor.context import Context
from thumbor.point import FocalPoint

if TYPE_CHECKING:
    import cv2
    from picture_engine import Engine

Square = tuple[float, float, float, float]

# A face is found where it is an eighteenth of the longer side or more; 20 to 50 ms of processor. The cascade knows none
# smaller than 20 pixels.
_SIDE, _LEAST = 400, 20
# Stock's: each size a fifth larger, found four times over, a fifteenth of the picture; and hair belongs to it.
_STEP, _NEIGHBOURS, _PART, _HAIR = 1.2, 4, 15, 0.12
_MOST = 10_000

# By picture key and ETag, and size: where its faces are, as they are the same for all widths of a srcset.
_known: dict[tuple[object, tuple[int, int]], list[Square]] = {}
# A cascade keeps what it works on within it.
_mine = threading.local()
_importing = threading.Lock()


class Detector:
    """Thumbor makes one for each request with ``smart/``."""

    def __init__(self, context: Context, index: int, detectors: object) -> None:
        self._context = context

    async def detect(self) -> None:
        """Say where the faces are, if that makes a difference; without any the crop is the centre's."""
        request = self._context.request
        # Of the two that a request for the numbers only (meta/) has, that with the pixels.
        engine: Engine = self._context.modules.engine
        if not self._is_cut(engine):
            return
        # What is trimmed is another part of the picture.
        original = getattr(request, "original", None) if request.trim is None else None
        key = original, engine.size
        faces = _known.get(key) if original else None
        if faces is None:
            faces = await self._context.thread_pool.queue(_faces, engine)
            if original:
                if len(_known) >= _MOST:
                    del _known[next(iter(_known))]
                _known[key] = faces
        request.focal_points += [FocalPoint.from_square(*face, origin="Face Detection") for face in faces]

    def _is_cut(self, engine: "Engine") -> bool:
        """Whether Thumbor cuts for the sake of the sides' ratio, which it compares as here."""
        request = self._context.request
        if request.fit_in or request.stretch or not (request.width and request.height):
            return False
        if request.should_crop or "orig" in (request.width, request.height):
            return True
        width, height = engine.size
        return bool(round(width / height, 2) != round(request.width / request.height, 2))


def _faces(engine: "Engine") -> list[Square]:
    """Left, top, width and height of each, in the picture as it stands."""
    small = engine.miniature(_SIDE)
    if min(small.size) < _LEAST:
        return []
    import numpy as np

    least = max(_LEAST, min(small.size) // _PART)
    found = _cascade().detectMultiScale(np.asarray(small), _STEP, _NEIGHBOURS, minSize=(least, least))
    across, down = (large / little for large, little in zip(engine.size, small.size, strict=True))
    faces = [(x * across, y * down, wide * across, high * down) for x, y, wide, high in np.asarray(found).tolist()]
    return [(x, max(0.0, y - high * _HAIR), wide, high) for x, y, wide, high in faces]


def _cascade() -> "cv2.CascadeClassifier":
    if not hasattr(_mine, "cascade"):
        # While OpenCV is imported it takes itself out of sys.modules: another thread would find half of it.
        with _importing, _own_libraries():
            import cv2

            # As many renders are under way as there are processors.
            cv2.setNumThreads(1)
            # The same file that Thumbor's own has.
            file = f"{cv2.data.haarcascades}haarcascade_frontalface_alt.xml"  # type: ignore[attr-defined]
            _mine.cascade = cv2.CascadeClassifier(file)
    found: cv2.CascadeClassifier = _mine.cascade
    return found


@contextmanager
def _own_libraries() -> Iterator[None]:
    """Let no child process inherit where OpenCV looks for libraries: in the working directory, too."""
    before = os.environ.get("LD_LIBRARY_PATH")
    yield
    if before is None:
        os.environ.pop("LD_LIBRARY_PATH", None)
    else:
        os.environ["LD_LIBRARY_PATH"] = before
