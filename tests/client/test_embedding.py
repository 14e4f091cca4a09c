"""The files of client/ in a page of another origin."""

import pytest
from playwright.sync_api import Page

from tests.client.conftest import Site
from tests.stack.stacks import Stack

pytestmark = pytest.mark.stack


def test_a_page_of_another_origin_loads_the_script(stack: Stack, site: Site, page: Page) -> None:
    script = f"{stack.url}/client/thumbstack-upload.js"
    page.goto(
        site.write("embedding.html", f"<!doctype html><title>x</title><script src='{script}' crossorigin></script>")
    )

    assert page.evaluate("typeof window.ThumbstackUpload") == "function"
