"""Take the pictures of the pages again: `python -m tests.stack.screenshots` beside `heartwood demo --keep-up`.

It wants a running demo: its address (http://127.0.0.1:8310 by default) is the first argument.
"""

import shutil
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

FOLDER = Path("docs/pictures")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
#: Role, institution, address, how to go on from there, name of the picture, height kept. [px]
SHOTS: tuple[tuple[str, str, str, str, str, int], ...] = (
    ("officer", "bank-yanmen", "/loans", "", "loans", 700),
    ("officer", "bank-yanmen", "/loans?state=performing", "td a", "loan", 1500),
    ("bureau", "bureau-shuozhou", "/forests?county=youyu", "", "forests", 800),
    ("bureau", "bureau-shuozhou", "/forests?county=youyu", "tbody tr:nth-child(3) a", "forest", 1250),
    ("insurer", "insurer-jinbei", "/policies", "", "policies", 900),
    ("guarantor", "guarantor-shuozhou", "/guarantees", "", "guarantees", 900),
)


def take(page: Page, home: str, language: str) -> None:
    """Take every picture in one language."""
    for role, institution, address, onward, name, height in SHOTS:
        page.goto(f"{home}/sign-in")
        switch: Any = page.locator(f"button[name='language'][value='{language}']")
        if switch.count():
            switch.click()
            page.wait_for_load_state()
        page.locator(f"form:has(input[value='{role}']) button[value='{institution}']").click()
        page.wait_for_url(lambda url: "/sign-in" not in url)
        page.goto(home + address)
        if onward:
            page.locator(onward).first.click()
            page.wait_for_load_state()
        page.set_viewport_size({"width": 1180, "height": height})
        page.screenshot(path=FOLDER / f"{name}.{language}.png")
        print(FOLDER / f"{name}.{language}.png")


def main(home: str) -> None:
    """Take all pictures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for language in ("zh", "en"):
            take(browser.new_context().new_page(), home, language)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8310")
