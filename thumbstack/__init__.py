"""The domain of Thumbstack: what a picture key, a preset, an app, a refusal is. No Flask, no HTTP server in here."""
