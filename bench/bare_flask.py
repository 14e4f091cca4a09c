"""Flask alone: the least that an answer of a Flask application can cost."""

from flask import Flask

application = Flask(__name__)
# As long as what /sign says of one URL.
_CONSTANT = f'{{"url":"{"x" * 140}"}}\n'


@application.post("/sign")
def sign() -> tuple[str, dict[str, str]]:
    """The same, whatever is asked."""
    return _CONSTANT, {"Content-Type": "application/json"}
