"""The signer: who may have which size of which picture. It signs; it touches no bucket."""

from flask import Flask

from signer import errors, urls
from signer.config import Config
from signer.metrics import count_requests
from thumbstack.link import Links


def create_app(config: Config) -> Flask:
    """The WSGI application; whatever it works with is made here, from `config` alone."""
    app = Flask(__name__)
    # A path is taken as it came: the double slash of a malformed URL is refused, not redirected.
    app.url_map.merge_slashes = False
    app.json.sort_keys = False  # type: ignore[attr-defined]
    presets = config.presets()
    app.extensions["room"] = urls.Room(
        apps=config.apps(),
        security_key=config.security_keys[0],
        links=Links(config.security_keys),
        presets=presets,
        allowed_options=frozenset({*presets.values(), *config.allowed_options}),
        public_url=config.public_url,
    )
    count_requests(app)
    app.register_blueprint(urls.routes)
    errors.answer_in_json(app)
    return app
