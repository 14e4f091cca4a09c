"""How the widget brings files to the storage: limits, tickets, tries, the other way, and each failure in a sentence."""

from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, Route, expect

from tests.client.area import CORS, File, Open, jpeg, name, once, refusing, refusing_as_s3
from tests.stack.stacks import SHOP, Stack

pytestmark = pytest.mark.stack

# --- Limits that are looked at before anything is sent.


@pytest.mark.parametrize(
    ("file", "options", "code"),
    [
        (("a.jpg", "image/jpeg", b""), {}, "empty_file"),
        (("a.jpg", "image/jpeg", b"x" * 20_000), {"maxFilesize": 0.01}, "too_large"),
        (("a.png", "image/png", b"x"), {"acceptedFiles": "image/jpeg,.gif"}, "type_not_allowed"),
        (("a.exe", "application/x-msdownload", b"MZ"), {}, "unsupported_type"),
        (("a.bmp", "image/bmp", b"BM"), {}, "unsupported_type"),
    ],
)
def test_a_limit_has_the_code_that_the_service_would_answer(
    open_area: Open, file: File, options: dict[str, object], code: str
) -> None:
    area = open_area(options=options)

    area.drop(file)

    assert area.refused()["code"] == code
    assert area.asked == []


def test_the_service_has_the_same_codes(stack: Stack) -> None:
    address = f"{stack.url}/generate_policy"

    def code(**fields: object) -> str:
        answer = requests.post(address, {"api_key": SHOP["public_key"], **fields}, timeout=30)
        return str(answer.json()["code"])

    assert code(filename="a.jpg", size=33 * 1024 * 1024) == "too_large"
    assert code(filename="a.bmp", content_type="image/bmp") == "unsupported_type"
    answer = requests.post(f"{stack.url}/", {"api_key": SHOP["public_key"]}, files={"file": ("a.jpg", b"")}, timeout=30)
    assert answer.json()["code"] == "empty_file"


@pytest.mark.parametrize("direct", [True, False])
def test_the_services_own_limit_is_asked_for_and_said(open_area: Open, page: Page, direct: bool) -> None:
    area = open_area(options={"direct": direct})

    page.evaluate("widget.add(new File([new Uint8Array(33 * 2 ** 20)], 'a.jpg', {type: 'image/jpeg'}))")

    refusal = area.refused()
    assert (refusal["code"], refusal["status"]) == ("too_large", 413)
    assert refusal["message"] == "The file is too large (33 MB). At most 32 MB are possible."
    assert [area.count(path) for path in ("/generate_policy", "/direct", "/")] == [1, 0, 0]


def test_a_picture_whose_type_the_system_does_not_know_is_taken(open_area: Open) -> None:
    area = open_area(options={"acceptedFiles": "image/*"})

    area.drop((name(), "", jpeg()))

    area.uploaded()


# --- Failures.


@pytest.mark.parametrize("down", ["refused", "bad_gateway"])
def test_a_signer_that_is_down_is_seen_on_the_page(open_area: Open, page: Page, down: str) -> None:
    area = open_area(options={"retries": 2, "retryDelay": 20})
    page.route(
        "**/generate_policy",
        (lambda route: route.abort("connectionrefused")) if down == "refused" else refusing(502, "bad_gateway"),
    )

    area.drop((name(), "image/jpeg", jpeg()))

    refusal = area.refused()
    assert refusal["code"] == ("unreachable" if down == "refused" else "bad_gateway")
    assert [area.count(path) for path in ("/generate_policy", "/direct", "/")] == [3, 0, 0]
    # And is up again.
    page.unroute("**/generate_policy")
    page.get_by_role("button", name="Try again").click()
    area.uploaded()
    expect(page.locator(".dz-error-message:not(:empty)")).to_have_count(0)


def test_what_is_no_picture_inside_is_refused_by_inspection(open_area: Open, stack: Stack) -> None:
    area = open_area()
    file = name()

    area.drop((file, "image/jpeg", b"A letter, renamed."))

    refusal = area.refused()
    assert (refusal["code"], refusal["status"]) == ("unsupported_type", 415)
    assert refusal["message"] == "This is no picture of a known type."
    assert stack.originals(f"o/shop/{file.removesuffix('.jpg')}/") == []
    expect(area.page.get_by_role("button", name="Try again")).to_have_count(0)


def test_a_wrong_key_is_said(open_area: Open) -> None:
    area = open_area(options={"apiKey": "wrong"})

    area.drop((name(), "image/jpeg", jpeg()))

    assert area.refused()["code"] == "forbidden"
    assert len(area.asked) == 1


def tampered(route: Route) -> None:
    """Hand out a ticket whose signature is wrong."""
    answer = route.fetch()
    told = answer.json()
    told["data"]["x_amz_signature"] = "0" * 64
    route.fulfill(response=answer, json=told)


def test_a_ticket_that_s3_refuses_is_renewed(open_area: Open, page: Page) -> None:
    area = open_area()

    page.route("**/generate_policy", once(tampered))

    area.drop((name(), "image/jpeg", jpeg()))

    area.uploaded()
    assert [area.count(path) for path in ("/generate_policy", "/direct")] == [2, 2]


def test_what_s3_refuses_for_good_is_said(open_area: Open, page: Page) -> None:
    area = open_area()

    page.route("**/generate_policy", tampered)

    area.drop((name(), "image/jpeg", jpeg()))

    refusal = area.refused()
    assert (refusal["code"], refusal["status"]) == ("ticket_refused", 403)
    assert refusal["message"] == "The storage did not accept the file: try again."
    expect(page.get_by_role("button", name="Try again")).to_be_visible()


@pytest.mark.parametrize(
    ("message", "code"),
    [("Invalid according to Policy: Policy expired.", "expired"), ("Access Denied.", "ticket_refused")],
)
def test_s3_itself_is_understood(open_area: Open, page: Page, message: str, code: str) -> None:
    area = open_area()
    page.route("**/direct", refusing_as_s3(403, "AccessDenied", message))

    area.drop((name(), "image/jpeg", jpeg()))

    assert area.refused()["code"] == code
    assert area.count("/direct") == 2


def test_a_storage_of_another_origin_takes_the_file_itself(open_area: Open, page: Page, stack: Stack) -> None:
    """As with UPLOAD_URL: no nginx of ours between, S3's own CORS and XML."""
    area = open_area()

    def elsewhere(route: Route) -> None:
        answer = route.fetch()
        told = answer.json() | {"url": f"{stack.s3_endpoint}/{stack.pictures_bucket}"}
        if "tampered.jpg" in (route.request.post_data or ""):
            told["data"]["policy"] = "e30="
        route.fulfill(response=answer, json=told)

    page.route("**/generate_policy", elsewhere)
    area.drop((name(), "image/jpeg", jpeg()))
    area.uploaded()
    assert [area.count(path) for path in ("/direct", "/complete", "/")] == [0, 1, 0]

    area.drop(("tampered.jpg", "image/jpeg", jpeg()))

    refusal = area.refused()
    assert (refusal["code"], refusal["status"]) == ("ticket_refused", 403)


def test_a_ticket_of_a_page_left_open_is_renewed(open_area: Open, page: Page) -> None:
    page.clock.install()
    area = open_area(options={"retryDelay": 5000})
    page.route("**/direct", once(refusing(503, "storage_unavailable")))
    area.drop((name(), "image/jpeg", jpeg()))
    expect(page.get_by_text("Trying again in")).to_be_visible()

    # The laptop was closed meanwhile.
    page.clock.fast_forward("02:00:00")

    area.uploaded()
    assert [area.count(path) for path in ("/generate_policy", "/direct")] == [2, 2]


def test_who_asks_to_wait_is_waited_for(open_area: Open, page: Page) -> None:
    area = open_area(options={"retryDelay": 1})
    page.route("**/direct", once(refusing(503, "storage_unavailable", **{"Retry-After": "2"})))

    area.drop((name(), "image/jpeg", jpeg()))

    expect(page.locator(".dz-state")).to_have_text(
        "The server is busy or being repaired: try again in a while. Trying again in 2 s."
    )
    area.uploaded()
    assert [area.count(path) for path in ("/generate_policy", "/direct", "/")] == [1, 2, 0]


@pytest.mark.parametrize("route", ["generate_policy", "complete"])
@pytest.mark.parametrize("status", [500, 503, 429, 0])
def test_trouble_that_passes_is_met_again(open_area: Open, page: Page, route: str, status: int) -> None:
    area = open_area(options={"retryDelay": 20})
    trouble = refusing(status, "unavailable") if status else lambda route: route.abort("connectionreset")
    page.route(f"**/{route}", once(trouble))

    area.drop((name(), "image/jpeg", jpeg()))

    area.uploaded()
    assert area.count(f"/{route}") == 2


def test_a_busy_storage_is_met_as_often_with_the_first_file(open_area: Open, page: Page) -> None:
    area = open_area(options={"retryDelay": 20})
    page.route("**/direct", once(refusing(503, "storage_unavailable"), times=4))

    area.drop((name(), "image/jpeg", jpeg()))

    area.uploaded()
    assert [area.count(path) for path in ("/generate_policy", "/direct", "/")] == [1, 5, 0]


def test_without_a_network_nothing_is_given_up(open_area: Open, page: Page) -> None:
    # What the browser says of its network is a stub: on a machine that has none, it says so all the time.
    page.add_init_script("window.network = true; Object.defineProperty(navigator, 'onLine', {get: () => network})")
    area = open_area(options={"retries": 1, "retryDelay": 1})
    page.route("**/direct", lambda route: route.abort("internetdisconnected"))
    page.evaluate("network = false")
    area.drop((name(), "image/jpeg", jpeg()))
    expect(page.locator(".dz-state")).to_have_text(
        "The server cannot be reached: check the connection. Trying again in 60 s."
    )

    page.unroute("**/direct")
    page.evaluate("network = true; dispatchEvent(new Event('online'))")

    area.uploaded()
    assert [area.count(path) for path in ("/generate_policy", "/direct", "/")] == [1, 2, 0]


@pytest.mark.parametrize("route", ["generate_policy", "complete"])
def test_the_sign_in_page_of_a_network_is_no_answer(open_area: Open, page: Page, route: str) -> None:
    area = open_area(options={"retryDelay": 20})
    page.route(f"**/{route}", once(lambda route: route.fulfill(body="<h1>Welcome to the hotel</h1>", headers=CORS)))

    area.drop((name(), "image/jpeg", jpeg()))

    area.uploaded()
    assert area.count(f"/{route}") == 2


def test_a_file_that_was_moved_is_not_the_networks_fault(open_area: Open, page: Page, tmp_path: Path) -> None:
    area = open_area(options={"retryDelay": 20})
    file = tmp_path / "a.jpg"
    file.write_bytes(jpeg())

    def moved(route: Route) -> None:
        file.unlink()
        route.continue_()

    page.route("**/generate_policy", once(moved))

    page.locator(".dz-hidden-input").set_input_files(file)

    refusal = area.refused()
    assert refusal["code"] == "unreadable"
    assert refusal["message"] == "The file was moved or changed meanwhile: choose it again."
    assert [area.count(path) for path in ("/complete", "/")] == [0, 0]


@pytest.mark.parametrize("code", ["constructor", "brand_new"])
def test_a_code_without_words_is_told_in_the_services(open_area: Open, page: Page, code: str) -> None:
    area = open_area()
    page.route("**/generate_policy", refusing(400, code))

    area.drop((name(), "image/jpeg", jpeg()))

    assert area.refused()["message"] == f"The upload failed: Said in English: {code}."


def test_pauses_grow_and_keep_to_what_the_service_says(open_area: Open, page: Page, stack: Stack) -> None:
    open_area()
    pauses = page.evaluate(
        """(module) => import(module).then(({backoff}) => ({
            middle: [0, 1, 2, 3].map((tried) => backoff(tried, 1000, 0, 0.5)),
            least: backoff(0, 1000, 0, 0), most: backoff(0, 1000, 0, 1),
            asked: backoff(0, 1000, 7), longest: backoff(20, 1000), asked_long: backoff(0, 1000, 86400),
        }))""",
        f"{stack.url}/client/thumbstack-upload.mjs",
    )

    assert pauses == {
        "middle": [1000, 2000, 4000, 8000],
        "least": 750,
        "most": 1250,
        "asked": 7000,
        "longest": 60_000,
        "asked_long": 60_000,
    }


def test_without_a_way_to_s3_pictures_go_through_the_service(open_area: Open, page: Page) -> None:
    area = open_area(options={"retryDelay": 20, "parallelUploads": 1})
    page.route("**/direct", lambda route: route.abort("connectionrefused"))
    pictures = [jpeg(), jpeg()]

    area.drop(*[(name(), "image/jpeg", picture) for picture in pictures])

    area.uploaded(2)
    stored = [requests.get(told["upload"]["publicUrl"], timeout=30).content for told in area.told("upload")]
    assert stored == pictures
    # Tried twice with the first, and remembered for the second. The ticket says what would not be taken.
    assert [area.count(path) for path in ("/generate_policy", "/direct", "/")] == [2, 2, 2]


def test_what_is_refused_on_the_other_way_is_said_too(open_area: Open, page: Page) -> None:
    area = open_area(options={"retryDelay": 20})
    page.route("**/direct", lambda route: route.abort("connectionrefused"))

    area.drop((name(), "image/jpeg", b"A letter, renamed."))

    assert area.refused()["code"] == "unsupported_type"


def test_a_lost_answer_is_no_second_upload(open_area: Open, page: Page, stack: Stack) -> None:
    area = open_area(options={"retryDelay": 20})

    def lost(route: Route) -> None:
        if route.request.method == "POST":
            route.fetch()
        route.abort("connectionreset")

    page.route("**/direct", lost)
    file = name()

    area.drop((file, "image/jpeg", jpeg()))

    area.uploaded()
    assert area.count("/") == 0
    assert len(stack.originals(f"o/shop/{file.removesuffix('.jpg')}/")) == 1
