"""A loan from the application to a payment, clicked through by each role in a real browser, in both languages."""

import json
import shutil
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from rich.console import Console

from deploy.demo.player import Account
from deploy.demo.story import Story, short_plan
from deploy.stack import Stack
from tests.stack.conftest import eventually

sync_api = pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright")
from axe_playwright_python.sync_playwright import Axe  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.stack,
    pytest.mark.xdist_group("stack"),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium"),
]
#: A turn of the story that no other test plays on this stack.
TURN = 13
BANK = "bank-yanmen"


@pytest.fixture(scope="module")
def story(stack: Stack) -> Story:
    """Forests that are registered and valued, and insurers and guarantors with room."""
    told = Story(stack, Account(Console(quiet=True)), short_plan(TURN))
    told.register()
    told.set_limits()
    assert told.account.passed, [step for step in told.account.steps if not step.passed]
    return told


class Browser:
    """One person's browser: remembers everything that went wrong on any page."""

    def __init__(self, page: Any, home: str) -> None:
        self.page, self.home, self.faults = page, home, []
        page.set_default_timeout(120_000)
        page.on("console", lambda said: self.faults.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", lambda asked: None if asked.url.startswith(home) else self.faults.append(asked.url))
        self.axe = Axe()

    def become(self, role: str, institution: str) -> None:
        """Sign in, or switch to another role."""
        self.page.goto(f"{self.home}/sign-in")
        self.page.locator(f"form:has(input[value='{role}']) button[value='{institution}']").click()
        self.page.wait_for_url(lambda url: "/sign-in" not in url)

    def open(self, path: str) -> None:
        """Open a page and look at it as a screen reader would."""
        self.page.goto(self.home + path)
        self.look()

    def look(self) -> None:
        """Fail on what the accessibility rules call serious or worse, by name."""
        found = self.axe.run(self.page).response["violations"]
        bad = [(one["id"], [node["html"][:120] for node in one["nodes"][:2]]) for one in found
               if one["impact"] in ("serious", "critical")]  # fmt: skip
        assert bad == [], (self.page.url, bad)

    def does(self, act: str, **typed: str) -> None:
        """Press an act's button on the case page, fill in what it asks for and do it."""
        self.page.locator(f"a[href$='/do/{act}']").click()
        self.look()
        for name, value in typed.items():
            field = self.page.locator(f"[name='{name}']")
            field.select_option(value) if field.evaluate("e => e.tagName") == "SELECT" else field.fill(value)
        self.page.locator("form[data-once] button.primary").click()
        self.page.wait_for_url(lambda url: "/do/" not in url)

    def sees(self, tone_or_text: str) -> None:
        """Load the page again until the case has come so far."""

        def seen() -> bool:
            self.page.reload()
            return bool(self.page.locator(f"h1 .state:has-text('{tone_or_text}')").count())

        assert eventually(seen), (tone_or_text, self.page.locator("main").inner_text()[:2000])


@pytest.fixture
def browser(stack: Stack) -> Iterator[Browser]:
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = launched.new_context(locale="en-GB", viewport={"width": 1280, "height": 900}).new_page()
        one = Browser(page, stack.pages)
        yield one
        launched.close()
    assert one.faults == []


def test_a_loan_is_lent_through_the_pages(browser: Browser, story: Story) -> None:
    forest = story._collateral()[0]
    tonnes = (Decimal(story._units(forest)["free"]) / 2).quantize(Decimal("0.001"))
    page = browser.page

    browser.become("officer", BANK)
    browser.open(f"/forest/{forest}")
    page.get_by_text("Apply with it").click()
    browser.look()
    typed = {
        "borrower_reference": "FILE-2026-0042", "industry": "022", "employees": "2", "amount": "20,000",
        "term_months": "24", "tonnes": str(tonnes), "insurer": "insurer-jinbei", "guarantor": "guarantor-shuozhou",
    }  # fmt: skip
    for name, value in typed.items():
        page.locator(f"[name='{name}']").fill(value)

    # What the service refuses is told beside the field, and what was typed stays.
    page.locator("[name='term_months']").fill("soon")
    page.locator("button.primary").click()
    page.locator("[role='alert']").wait_for()
    assert page.locator("[name='amount']").input_value() == "20,000"
    # The refusal is an answer with an error's status, which the browser's console reports as such.
    browser.faults = [fault for fault in browser.faults if "422" not in fault]
    page.locator("[name='term_months']").fill("24")
    page.locator("button.primary").click()
    page.wait_for_url("**/loan/*")
    case = page.url.removeprefix(browser.home)

    page.locator("h1 .state").wait_for()
    if "referred" in page.locator("h1").inner_text():
        browser.does("decide", decision="proceed", comment="file read")
    browser.sees("proposed")
    browser.look()

    browser.become("credit-approver", BANK)
    browser.open(case)
    browser.does("approve", comment="seen")
    browser.sees("offered")

    browser.become("officer", BANK)
    browser.open(case)
    browser.does("accept")
    browser.sees("ready")
    browser.does("disburse")
    browser.sees("performing")

    # In Chinese, on the same page.
    page.get_by_text("中文").click()
    page.wait_for_load_state()
    assert page.url == browser.home + case
    browser.sees("正常履约")
    assert page.locator("svg.chart").count() >= 3, "map, fan and waterfall"
    browser.does("repay", amount="1,000.00")
    browser.look()
    assert page.get_by_text("1,000.00 元").first.is_visible()
    # A form that is sent again does nothing twice.
    page.go_back()
    page.locator("form[data-once] button.primary").click()
    page.wait_for_load_state()
    page.goto(browser.home + case)
    assert page.locator("td:has-text('1,000.00 元')").count() == 1

    paid = story.person("credit", "officer", BANK).get(f"/v1{case.replace('/loan/', '/loans/')}/payments")["items"]
    assert [one["amount"]["amount"] for one in paid] == ["1000.00"]

    # Its legs, as the others see them.
    for role, institution, place in (
        ("insurer", "insurer-jinbei", "policy"), ("insurer", "insurer-jinbei", "cover"),
        ("guarantor", "guarantor-shuozhou", "guarantee"),
    ):  # fmt: skip
        browser.become(role, institution)
        browser.open("/guarantees" if role == "guarantor" else "/policies")
        page.locator(f"a[href^='/{place}/']").first.click()
        page.wait_for_url(f"**/{place}/*")
        browser.look()

    the_book_is_struck(browser)


def the_book_is_struck(browser: Browser) -> None:
    """The insurer starts a run of the policies in force, waits for it on its page, reads it and takes its files."""
    page = browser.page
    browser.become("insurer", "insurer-jinbei")
    browser.open("/accumulations")
    assert page.locator(".empty").count() == 1, "it says what to do"
    page.locator("[name='years']").fill("1000")
    page.locator("[name='seed']").fill("7")
    page.locator("button.primary").press("Enter")
    page.wait_for_url("**/accumulation/*")
    # The page shows the result by itself once the job is through.
    page.locator("figure.drawn svg").nth(2).wait_for()
    browser.look()
    for summary in page.locator("figure.drawn summary").all():
        summary.press("Enter")
    assert page.locator("figure.drawn details[open] table tbody tr:visible").count() > 5, "each picture has its table"
    assert page.locator("h2").all_inner_texts().count("按县区") == 1
    assert page.locator("section:has(h2:has-text('三张资产负债表')) tbody tr").count() > 5
    for link in page.locator("a.button[href*='.']").all():
        with page.expect_download() as kept:
            link.click()
        assert kept.value.path().stat().st_size > 50, kept.value.suggested_filename
    page.emulate_media(color_scheme="dark")
    browser.look()
    page.get_by_text("English").click()
    page.get_by_role("heading", name="By guarantor").wait_for()
    page.goto(browser.home + "/accumulations")
    assert page.locator("tbody tr").count() == 1
    browser.look()


def test_a_queue_is_accepted_by_two_persons(browser: Browser, story: Story) -> None:
    """Two loans, room for one: the other is refused by a limit that then has a price."""
    institution, page = "guarantor-shuozhou", browser.page
    loan = {"amount": 2_000_000, "pd_bp": 300, "lgd_bp": 4000, "carbon": 0, "weight_bp": 7500, "bank": BANK}
    loan |= {"county": "youyu", "sector": "forestry", "group": None}
    shares = {"primary": 4000, "province": 3000, "national": 0, "bank": 2000, "pool": 1000}
    queue = {
        "format": "guarantee-queue/1", "unit": "fen", "schemes": [{"id": "4-3-2-1", **shares}],
        "guarantors": [{"id": institution, "net_assets": 0, "leverage": 10, "single_cap": None, "counties": None}],
        "contracts": [{"bank": BANK, "guarantor": institution, "scheme": "4-3-2-1"}],
        "buckets": [{"id": institution, "kind": "headroom", "keys": [institution], "cap": 900_000}],
        "loans": [loan | {"id": str(uuid4()), "obligor": f"borrower-{one}"} for one in range(2)],
        "objective": {"amount": 1, "carbon": 0.5, "el": 3},
    }  # fmt: skip
    maker = story.person("guarantee", "guarantor", institution, "another@" + institution)
    browser.become("guarantor", institution)
    browser.open("/allocations")
    assert page.locator(".empty").count() == 2, "it says what to do"
    as_file = {"Content-Type": "application/octet-stream", "Idempotency-Key": str(uuid4())}
    _, made = maker._speak("POST", "/v1/allocations", queue, as_file)
    case = f"/allocation/{made['id']}"
    page.goto(browser.home + case)
    browser.sees("finished")
    browser.look()
    with page.expect_download() as kept:
        page.get_by_text("Download the certificate").click()
    assert json.loads(kept.value.path().read_text())["format"] == "guarantee-allocation/1"

    # Who proposes does not decide.
    browser.does("propose")
    page.locator("a[href$='/do/approve']").click()
    browser.look()
    digest = page.locator("code.digest").inner_text()
    page.locator("form[data-once] button.primary").click()
    page.locator("[role='alert']").wait_for()
    browser.faults = [fault for fault in browser.faults if "403" not in fault]
    seen = maker.get(f"/v1/allocations/{made['id']}")
    assert (seen["acceptance"], seen["accepted_loans"], seen["payload_hash"]) == ("proposed", 1, digest)
    maker.post(f"/v1/allocations/{made['id']}/approval", {"payload_hash": seen["payload_hash"], "approve": False})

    # What another person proposed is approved on the page, by the hash that it showed.
    maker.post(f"/v1/allocations/{made['id']}/acceptance", {})
    page.goto(browser.home + case)
    browser.does("approve")
    done = maker.get(f"/v1/allocations/{made['id']}")
    assert (done["acceptance"], done["decided_by"]) == ("accepted", f"guarantor@{institution}")
    page.get_by_text("中文").click()
    page.locator("h2 .state:has-text('已接受')").wait_for()
    browser.look()
    browser.open("/allocations")
    assert page.locator("td.heat4").count() == 1, "the dearest limit"
    page.emulate_media(color_scheme="dark")
    browser.look()


def test_what_if_answers_while_one_types(browser: Browser, story: Story) -> None:
    forest, page = story._collateral()[1], browser.page
    browser.become("officer", BANK)
    browser.open(f"/what-if/loan?asset_id={forest}&tonnes=1000")
    page.locator("[name='employees']").fill("3")
    page.locator("#result h2 .state").wait_for()
    browser.look()
    page.locator("[name='industry']").fill("forest")
    page.locator("#result [role='alert']").wait_for()

    browser.become("insurer", "insurer-jinbei")
    browser.open(f"/what-if/cover?asset_id={forest}")
    page.locator("[name='deductible_per_cent']").fill("10")
    page.locator("#result svg.chart").wait_for()
    browser.look()
    amounts = [row.split("\t")[-1] for row in page.locator("#result figure tr").all_text_contents()]
    assert len(amounts) > 8, "each step has its line"


@pytest.mark.parametrize(
    ("role", "institution", "paths"),
    [
        ("officer", BANK, ("/loans", "/approvals", "/apply", "/forests?county=youyu", "/warnings", "/portfolio")),
        ("bureau", "bureau-shuozhou", ("/forests",)),
        ("insurer", "insurer-jinbei", ("/policies", "/what-if/cover", "/accumulations")),
        ("model-risk", BANK, ("/models",)),
        ("guarantor", "guarantor-shuozhou", ("/guarantees", "/allocations")),
        ("auditor", BANK, ("/loans", "/forests")),
    ],
)
def test_each_role_has_its_work_list(
    browser: Browser, story: Story, role: str, institution: str, paths: tuple[str, ...]
) -> None:
    browser.become(role, institution)
    for path in paths:
        browser.open(path)
        assert browser.page.locator("h1").inner_text()


def test_another_institutions_case_is_not_found(browser: Browser, story: Story) -> None:
    browser.become("officer", BANK)
    browser.page.goto(f"{browser.home}/loan/01a22dc6-1e84-77fe-8d82-69f932ff082a")
    assert "Not found" in browser.page.locator("h1").inner_text()
    browser.faults = [fault for fault in browser.faults if "404" not in fault]
