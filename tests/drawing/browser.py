"""A headless Chromium for the tests of pages: Debian's `chromium` and `chromium-driver`, driven by Selenium."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-prefers-reduced-motion",
)


# Until the task after the next frame: that frame is painted then.
_TIME = """
const done = arguments[arguments.length - 1];
const painted = new MessageChannel();
const start = performance.now();
(ACTION)();
document.body.getBoundingClientRect();
requestAnimationFrame(() => {
  painted.port1.onmessage = () => done(performance.now() - start);
  painted.port2.postMessage(0);
});
"""


def missing() -> str:
    """Why there is no browser to test in; "" where there is one."""
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "needs selenium: pip install -e '.[dev]'"
    if not (_found(BROWSERS) and _found(("chromedriver",))):
        return "needs chromium and its driver: apt-get install chromium chromium-driver"
    return ""


def _found(names: tuple[str, ...]) -> str | None:
    return next((path for path in map(shutil.which, names) if path), None)


@contextmanager
def browser(*more: str) -> Iterator[Any]:
    """A browser of its own, with nothing in it from before; closed at the end."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    os.environ.setdefault("SE_AVOID_STATS", "true")
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = _found(BROWSERS) or ""
        for option in (*_OPTIONS, f"--user-data-dir={profile}", *more):
            options.add_argument(option)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options=options, service=Service(_found(("chromedriver",))))
        size = {"width": 1400, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)  # whatever screen the machine has
        driver.set_script_timeout(60)
        try:
            yield driver
        finally:
            driver.quit()


class Page:
    """A page that is open in the browser, and what a reader does on it."""

    def __init__(self, driver: Any, path: Path, html: str) -> None:
        self.driver = driver
        path.write_text(html, encoding="utf-8")
        driver.get_log("browser")  # what is left of the page before
        driver.get(path.as_uri())
        assert self.js("return document.documentElement.dataset.ready") == "true", self.errors()

    def js(self, script: str, *values: Any) -> Any:
        return self.driver.execute_script(script, *values)

    def errors(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements("css selector", selector)

    def one(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def text(self, selector: str) -> str:
        return self.js("return document.querySelector(arguments[0]).textContent", selector)

    def ids(self, selector: str) -> set[int]:
        """The ids of the boxes that a selector finds."""
        return {int(element.get_attribute("data-id")) for element in self.all(f"#stage {selector}")}

    def click(self, selector: str, *, shift: bool = False, double: bool = False) -> None:
        from selenium.webdriver import ActionChains, Keys

        actions = ActionChains(self.driver, duration=0)
        if shift:
            actions.key_down(Keys.SHIFT)
        actions.move_to_element(self.one(selector))
        actions.double_click() if double else actions.click()
        if shift:
            actions.key_up(Keys.SHIFT)
        actions.perform()

    def press(self, *keys: str) -> None:
        from selenium.webdriver import ActionChains

        ActionChains(self.driver, duration=0).send_keys(*keys).perform()

    def set(self, selector: str, value: Any) -> None:
        """Give a field a value, as its reader would."""
        self.js(
            """const field = document.querySelector(arguments[0]);
            field.value = arguments[1];
            for (const name of ["input", "change"]) field.dispatchEvent(new Event(name, {bubbles: true}));""",
            selector,
            str(value),
        )

    def time(self, action: str) -> float:
        """Milliseconds from the start of an action (a function in JavaScript) until what it changed is painted."""
        script = _TIME.replace("ACTION", action)
        milliseconds: float = self.driver.execute_async_script(script)
        return milliseconds


def colour(page: Page, selector: str, name: str = "fill") -> str:
    """The colour of what is drawn, as #rrggbb."""
    found = page.js(
        "return getComputedStyle(document.querySelector(arguments[0])).getPropertyValue(arguments[1])", selector, name
    )
    return "#" + "".join(f"{int(x):02x}" for x in re.findall(r"\d+", found)[:3])


def rectangles(page: Page) -> dict[int, tuple[float, float, float, float]]:
    """Left, top, right and bottom of each box that is drawn, on the screen."""
    found = page.js(
        """return [...document.querySelectorAll("#stage .box, #stage rect.cluster")].map((box) => {
          const r = (box.querySelector(".frame") || box).getBoundingClientRect();
          return [Number(box.dataset.id), r.left, r.top, r.right, r.bottom];
        })"""
    )
    return {int(i): (left, top, right, bottom) for i, left, top, right, bottom in found}
