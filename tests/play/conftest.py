import os
import shutil
from collections.abc import Iterator

import pytest

from .browser import PLAY, Browser

collect_ignore_glob = [] if PLAY.is_dir() else ["test_*.py"]  # the documentation is not here


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium without a window. Its driver comes with it, and finds it."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: the group `browser`")
    driver = shutil.which("chromedriver")
    if driver is None:
        pytest.skip("there is no chromedriver: the Debian packages chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.add_argument("--headless=new")
    options.add_argument("--disable-accelerated-2d-canvas")  # which may draw the same picture a little otherwise
    options.add_argument("--disable-dev-shm-usage")  # of which a container may have too little
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # Chromium asks for it
    with webdriver.Chrome(options, webdriver.ChromeService(driver)) as chrome:
        yield Browser(chrome)


@pytest.fixture(scope="module")
def scripts(browser: Browser) -> Browser:
    """The page, for what its scripts compute."""
    browser.open()
    return browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Browser]:
    """The page, at a desk and with less motion. It must say nothing on the console."""
    browser.screen(1280, 900)
    browser.media("prefers-reduced-motion", "reduce")
    browser.media("prefers-color-scheme", "light")
    browser.open()
    yield browser
    assert browser.console() == []
