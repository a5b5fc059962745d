"""A browser with the page in it, opened from the disk as a reader of the built documentation may."""

from typing import TYPE_CHECKING, Any

from .. import ROOT

if TYPE_CHECKING:
    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

PLAY = ROOT / "docs" / "play"
PAGE = (PLAY / "index.html").as_uri()


class Browser:
    def __init__(self, chrome: "Chrome") -> None:
        self.chrome = chrome
        self.features: dict[str, str] = {}

    def open(self, hash: str = "", url: str = PAGE) -> None:
        self.chrome.get("about:blank")  # another hash alone would not load the page again
        self.chrome.get(url + hash)

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script of the page returns."""
        return self.chrome.execute_script(script, *arguments)

    def find(self, css: str) -> "WebElement":
        return self.chrome.find_element("css selector", css)

    def find_all(self, css: str) -> "list[WebElement]":
        return self.chrome.find_elements("css selector", css)

    def screen(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 2, "mobile": False}
        self.chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def media(self, feature: str, value: str) -> None:
        self.features[feature] = value
        features = [{"name": name, "value": wanted} for name, wanted in self.features.items()]
        self.chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def console(self) -> list[str]:
        """What was written there since it was last asked for."""
        return [entry["message"] for entry in self.chrome.get_log("browser")]

    def paths(self) -> dict[str, list[list[float]]]:
        """The weights of each optimizer that is shown."""
        return dict(self.run("return runs.map(({ name, path }) => [name, path])"))

    def pixels(self, canvas: str) -> str:
        return self.run("return document.getElementById(arguments[0]).toDataURL()", canvas)
