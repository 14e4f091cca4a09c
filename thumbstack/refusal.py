"""What a caller is told when the answer is no: a status, a code for programs, a sentence for people."""


class Refused(Exception):  # noqa: N818 - a refusal is an answer, not an error
    """A request that is not done, and nothing of it is.

    The sentence says what to change. It never holds a key, a bucket name or what the caller sent as a secret.
    """

    status = 400
    code = "bad_request"
    retry_after_seconds: int | None = None
    # Where a client of ours was refused: the request's name in the service's logs.
    request_id: str | None = None

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence

    def body(self) -> dict[str, str | int]:
        """The JSON body of the answer."""
        return {"error": self.sentence, "code": self.code}


class Missing(Refused):
    """A field that the request needs is not there."""

    code = "missing_input"


class BadOptions(Refused):
    """Options that Thumbor does not know, or that ask for too much."""

    code = "bad_options"


class Forbidden(Refused):
    """No key, or not the key for this."""

    status = 403
    code = "forbidden"


class BadSignature(Refused):
    """A link that this service did not give out, or that was changed since."""

    status = 403
    code = "bad_signature"


class Expired(Refused):
    """A link that this service gave out, and whose time is over."""

    status = 410
    code = "expired"


class NoSuchPicture(Refused):
    """Nothing is stored under that name or key."""

    status = 404
    code = "no_such_picture"


class TooLarge(Refused):
    """More bytes than allowed; `max_bytes` where that is what a picture may have."""

    status = 413
    code = "too_large"

    def __init__(self, sentence: str, max_bytes: int | None = None) -> None:
        super().__init__(sentence)
        self.max_bytes = max_bytes

    def body(self) -> dict[str, str | int]:
        """With the limit, so that a browser can say it in its own words."""
        return super().body() | ({} if self.max_bytes is None else {"max_bytes": self.max_bytes})


class Empty(Refused):
    """No bytes at all."""

    code = "empty_file"


class TooManyPixels(Refused):
    """Few bytes may hold very many pixels; what could not be rendered is not stored."""

    status = 413
    code = "too_many_pixels"


class NotAPicture(Refused):
    """The bytes are of no type that is taken here, whatever the name says."""

    status = 415
    code = "unsupported_type"


class TypeNotAllowed(Refused):
    """A type that is known, but that this app does not take."""

    status = 415
    code = "type_not_allowed"


class TooManyFrames(Refused):
    """An animation or a document of so many pictures that rendering one variant would take seconds."""

    status = 413
    code = "too_many_frames"


class TooComplex(Refused):
    """Few pixels that take very long to decode: hundreds of JPEG scans, references that multiply."""

    status = 413
    code = "too_complex"


class Undecodable(Refused):
    """It begins like a picture, but it is cut off or damaged."""

    status = 422
    code = "undecodable"


class ActiveContent(Refused):
    """It would do something when it is opened: run a script, or fetch from elsewhere."""

    status = 422
    code = "active_content"


class TrailingData(Refused):
    """A whole picture with something else behind it, or that another program would read as something else."""

    status = 422
    code = "trailing_data"


class StorageUnavailable(Refused):
    """S3 does not do its part just now. Nothing was stored; the caller may come again."""

    status = 503
    code = "storage_unavailable"
    retry_after_seconds = 5


class Unavailable(Refused):
    """Another room does not do its part just now; the caller may come again."""

    status = 503
    code = "unavailable"
    retry_after_seconds = 5


class DigestMismatch(Refused):
    """What came is not what the caller says it sent."""

    code = "digest_mismatch"


class Infected(Refused):
    """The scanner says no."""

    status = 422
    code = "infected"


class ScannerUnavailable(Refused):
    """Nothing passes unscanned; the caller may come again."""

    status = 503
    code = "scanner_unavailable"
    retry_after_seconds = 30


class NotTurnable(Refused):
    """A picture that cannot be turned: it is drawn, or it has pages or frames."""

    code = "not_turnable"


class NoRoom(Refused):
    """This node's own disk is full, or what S3 keeps things on is; nothing was stored."""

    status = 503
    code = "no_room"
    retry_after_seconds = 60


class TicketsUnavailable(Refused):
    """There are no credentials to sign with just now."""

    status = 503
    code = "tickets_unavailable"
    retry_after_seconds = 5


class TicketRefused(Refused):
    """S3 does not take a form, whatever of it is not as the ticket says. nginx tells it: nginx/snippets/direct.conf."""

    status = 403
    code = "ticket_refused"
