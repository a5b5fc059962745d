"""What a reader sees and does."""

import importlib
import math
import struct
import time
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .browser import PAGE, PLAY, Browser

keys = pytest.importorskip(
    "selenium.webdriver.common.keys", reason="selenium is not installed: the group `browser`"
).Keys

if TYPE_CHECKING:
    from selenium.webdriver.remote.webelement import WebElement

FIRST = ["SGD", "Momentum", "RMSProp", "Adam"]


def slide(page: Browser, css: str, *pressed: str) -> None:
    page.find(css).send_keys(*pressed)


def click(page: Browser, css: str, x: float = 0.5, y: float = 0.5) -> None:
    """At this share of the width and the height of an element."""
    from selenium.webdriver import ActionChains

    element = page.find(css)
    page.run("arguments[0].scrollIntoView({ block: 'center' })", element)
    left, top = (round((share - 0.5) * element.size[side]) for share, side in ((x, "width"), (y, "height")))
    ActionChains(page.chrome).move_to_element_with_offset(element, left, top).click().perform()


def choose(page: Browser, value: str) -> None:
    page.find(f".chip input[value={value}]").send_keys(keys.SPACE)


def waits(until: Callable[[], object]) -> None:
    """What comes when the reader pauses; five seconds at most."""
    end = time.monotonic() + 5
    while not until():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def within(page: Browser, frame: "WebElement", script: str) -> object:
    page.chrome.switch_to.frame(frame)
    try:
        return page.run(script)
    finally:
        page.chrome.switch_to.default_content()


def start(page: Browser) -> list[float]:
    return page.run("return state.start")


def size_of_png(png: bytes) -> tuple[int, int]:
    return struct.unpack(">II", png[16:24])


def test_the_page_is_small() -> None:
    assert sum(path.stat().st_size for path in PLAY.iterdir()) < 100_000


def test_it_loads(page: Browser) -> None:
    assert list(page.paths()) == FIRST
    assert all(len(path) == 201 for path in page.paths().values())
    loaded = page.run("const [entry] = performance.getEntriesByType('navigation'); return entry.loadEventEnd")
    print(f"loaded in {loaded:.0f} ms")
    assert page.run("return performance.getEntriesByType('resource').every(({ name }) => name.startsWith('file:'))")


def test_screenshot(page: Browser) -> None:
    png = b64decode(page.chrome.get_screenshot_as_base64())
    assert size_of_png(png) == (2 * 1280, 2 * 900)
    colors = page.run("""
        const { data } = document.getElementById("land").getContext("2d").getImageData(0, 0, 1000, 700);
        return new Set(new Uint32Array(data.buffer)).size""")
    assert colors > 100


def test_canvases_are_as_sharp_as_the_screen(page: Browser) -> None:
    for name in ("land", "losses"):
        canvas = page.find(f"#{name}")
        sharp, shown = canvas.get_property("width"), canvas.size["width"]
        assert sharp == pytest.approx(2 * shown, abs=2)


@pytest.mark.parametrize(
    ("optimizer", "hyper"), [("SGD", "lr"), ("Momentum", "beta"), ("RMSProp", "beta"), ("Adam", "beta1")]
)
def test_a_slider_moves_its_path(page: Browser, optimizer: str, hyper: str) -> None:
    before, pictures = page.paths(), [page.pixels("land"), page.pixels("losses")]
    slide(page, f"#card-{optimizer} input[name={hyper}]", keys.ARROW_LEFT * 6)
    after = page.paths()
    assert [name for name in FIRST if after[name] != before[name]] == [optimizer]
    assert page.pixels("land") != pictures[0]
    assert page.pixels("losses") != pictures[1]
    value = page.find(f"#card-{optimizer} .slider:has([name={hyper}]) .number").text
    assert f"{hyper}={value}" in page.find("#link").get_attribute("href")
    assert value in page.find(f"#card-{optimizer} code").text


def test_bias_correction(page: Browser) -> None:
    before = page.paths()["Adam"]
    page.find("#card-Adam input[name=bias_correction]").send_keys(keys.SPACE)
    assert page.paths()["Adam"] != before
    assert "bias_correction=False" in page.find("#card-Adam code").text


def test_steps_and_noise(page: Browser) -> None:
    before = page.paths()
    slide(page, "input[name=steps]", keys.ARROW_RIGHT)
    assert {len(path) for path in page.paths().values()} == {211}
    slide(page, "input[name=noise]", keys.ARROW_RIGHT * 4)
    noisy = page.paths()
    assert all(noisy[name][:201] != before[name] for name in FIRST)
    click(page, "#redraw")
    assert all(page.paths()[name] != noisy[name] for name in FIRST)


def test_a_click_moves_the_start(page: Browser) -> None:
    click(page, "#land", 0.75, 0.25)
    assert start(page) == pytest.approx([-0.5 + 7 / 4, 7 * 3 / 16], abs=0.02)
    assert all(path[0] == start(page) for path in page.paths().values())


def test_the_start_is_dragged(page: Browser) -> None:
    from selenium.webdriver import ActionChains

    seen = [page.paths()]
    hold = ActionChains(page.chrome).move_to_element(page.find("#land")).click_and_hold()
    for action in (hold, ActionChains(page.chrome).move_by_offset(60, -40), ActionChains(page.chrome).release()):
        action.perform()
        seen.append(page.paths())
    assert seen[0] == seen[1] != seen[2]
    width = page.find("#land").size["width"]
    assert start(page) == pytest.approx([-0.5 + 60 * 7 / width, 40 * 7 / width], abs=0.02)


def test_arrow_keys_move_the_start(page: Browser) -> None:
    before = start(page)
    land = page.find("#land")
    land.send_keys(keys.ARROW_RIGHT, keys.ARROW_RIGHT, keys.ARROW_DOWN)
    assert start(page) == pytest.approx([before[0] + 2 * 7 / 40, before[1] - 7 / 40])
    land.send_keys(keys.ARROW_UP, keys.ARROW_LEFT * 100)
    assert start(page) == pytest.approx([-0.5 - 7 / 2, before[1]])  # the edge
    land.send_keys(keys.HOME)
    assert start(page) == before


def test_numbers_move_the_start(page: Browser) -> None:
    field = page.find("#start-x")
    field.clear()
    field.send_keys("1.5", keys.TAB)
    assert start(page) == [1.5, 1.4]


def test_numbers_are_typed_while_it_plays(page: Browser) -> None:
    field = page.find("#start-x")
    page.run("play()")
    field.send_keys(keys.CONTROL, "a")
    for character in "1.25":
        field.send_keys(character)
        page.run("show()")  # as each frame does
    assert field.get_property("value") == "1.25"
    field.send_keys(keys.TAB)
    assert start(page) == [1.25, 1.4]


def test_every_surface(page: Browser) -> None:
    pictures = {page.pixels("land")}
    for name, label in page.run("return Object.entries(SURFACES).map(([name, { label }]) => [name, label])"):
        choose(page, name)
        pictures.add(page.pixels("land"))
        assert page.find("#land").get_attribute("aria-label").startswith(f"{label}: ")
        assert all(len(path) == 201 and math.isfinite(path[-1][0]) for path in page.paths().values())
    assert len(pictures) == 5


def test_every_optimizer(page: Browser) -> None:
    names = page.run("return Object.keys(OPTIMIZERS)")
    for name in names:
        if name not in FIRST:
            choose(page, name)
            assert page.find(f"#card-{name} code").text.startswith("fo.")
    assert list(page.paths()) == names
    for name in names:
        choose(page, name)
    assert page.paths() == {} and page.find_all(".loss") == []


def test_no_two_optimizers_are_drawn_alike(page: Browser) -> None:
    strokes = page.run("return Object.keys(OPTIMIZERS).map((name) => JSON.stringify(stroke_of(name)))")
    assert len(set(strokes)) == len(strokes)


def test_an_address_keeps_the_view(page: Browser) -> None:
    choose(page, "valleys")
    choose(page, "Lion")
    slide(page, "#card-Lion input[name=lr]", keys.ARROW_RIGHT * 3)
    page.find("#land").send_keys(keys.ARROW_UP)
    slide(page, "input[name=noise]", keys.ARROW_RIGHT)
    address, paths = page.find("#link").get_attribute("href"), page.paths()
    page.open(url=address)
    assert page.paths().keys() == paths.keys()
    for name, path in page.paths().items():
        assert path[0] == pytest.approx(paths[name][0], abs=1e-3)
    waits(lambda: page.run("return location.href") == address)
    click(page, "#reset")
    assert list(page.paths()) == FIRST


@pytest.mark.parametrize(
    "address", ["#surface=toString&with=valueOf,Adam&start=1", "#with=SGD&SGD.lr=1e9&steps=NaN&noise=-1", "#%"]
)
def test_an_address_that_is_wrong(page: Browser, address: str) -> None:
    page.open(address)
    assert page.run("return state.surface") == "ravine"
    assert page.paths().keys() <= set(FIRST)
    assert page.run("return [state.steps, state.noise]") == [200, 0]


def test_keyboard_alone(page: Browser) -> None:
    """Tab comes by everything that can be moved, and shows where it is."""
    reached = []
    for _ in range(80):
        page.chrome.switch_to.active_element.send_keys(keys.TAB)
        focused = page.chrome.switch_to.active_element
        if focused.tag_name == "body":
            break
        reached.append(focused.get_attribute("name") or focused.get_attribute("id"))
        outlined = "const e = document.activeElement; return getComputedStyle(e.closest('.chip') ?? e).outlineStyle"
        assert page.run(outlined) != "none"
    assert {
        "surface",
        "optimizer",
        "land",
        "play",
        "shown",
        "steps",
        "noise",
        "lr",
        "beta",
        "beta1",
        "bias_correction",
    } <= set(reached)


def test_everything_has_a_name(page: Browser) -> None:
    """As a screen reader says it."""
    for element in page.find_all("input, button, canvas, a"):
        assert element.accessible_name, element.get_attribute("outerHTML")
    assert page.find("#card-SGD input[name=lr]").accessible_name == "lr"
    assert page.find("#optimizers input[value=AdamDecay]").accessible_name == "Adam, global decay"


def test_losses_are_told(page: Browser) -> None:
    page.run("document.getElementById('summary').textContent = ''")
    slide(page, "#card-SGD input[name=lr]", keys.ARROW_LEFT)
    told = page.find("#summary")
    assert told.aria_role == "status"
    waits(lambda: told.get_property("textContent"))
    text = told.get_property("textContent")
    assert text.startswith("Losses after 200 steps: SGD ")
    assert all(f"{name} " in text for name in FIRST)
    for name in FIRST:
        choose(page, name)
    waits(lambda: told.get_property("textContent") == "No optimizer is chosen.")


def test_steps_can_be_seen_one_by_one(page: Browser) -> None:
    whole = page.pixels("land")
    slide(page, "#shown", keys.HOME)
    assert page.find("#shown-value").text == "0"
    assert page.pixels("land") != whole
    slide(page, "#shown", keys.END)
    assert page.pixels("land") == whole


def test_playing(page: Browser) -> None:
    click(page, "#play")
    assert page.run("return playing !== undefined")
    slide(page, "#card-SGD input[name=lr]", keys.ARROW_LEFT)  # a change shows all of it
    assert page.run("return [playing === undefined, shown]") == [True, 200]


def test_it_plays_by_itself_unless_less_motion_is_wanted(page: Browser) -> None:
    assert page.run("return playing === undefined")
    page.media("prefers-reduced-motion", "no-preference")
    page.open()
    assert page.run("return playing !== undefined")


@pytest.mark.parametrize("width", [380, 700, 1280, 1920])
def test_nothing_is_wider_than_the_screen(page: Browser, width: int) -> None:
    page.screen(width, 800)
    names = page.run("return Object.keys(OPTIMIZERS)")
    page.open(f"#with={','.join(names)}")
    assert page.run("return document.documentElement.scrollWidth") <= width
    widest = "return Math.max(...[...document.querySelectorAll('main *')].map((e) => e.getBoundingClientRect().right))"
    assert page.run(widest) <= width


def test_dark_and_light(page: Browser) -> None:
    background = "return getComputedStyle(document.body).backgroundColor"
    light = [page.run(background), page.pixels("land"), page.pixels("losses")]
    page.media("prefers-color-scheme", "dark")
    waits(lambda: page.pixels("losses") != light[2])
    assert page.run(background) != light[0] and page.pixels("land") != light[1]
    page.media("prefers-color-scheme", "light")
    waits(lambda: [page.run(background), page.pixels("land"), page.pixels("losses")] == light)


AROUND = """\
<!DOCTYPE html><title>Around</title><body data-theme="{theme}">{frame}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_within_a_page(page: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, theme: str) -> None:
    """As docs/embed_play.py puts it into the documentation: as high as it needs to be, and with the theme around it."""
    monkeypatch.syspath_prepend(PLAY.parent)
    frame = importlib.import_module("embed_play").FRAME.replace("play/index.html", PAGE)
    around = tmp_path / "around.html"
    around.write_text(AROUND.format(theme=theme, frame=frame))
    page.open(url=around.as_uri())
    frame = page.find("iframe")
    inner = "const { offsetHeight, dataset } = document.documentElement; return [offsetHeight, dataset.theme]"
    waits(lambda: frame.size["height"] > 0 and within(page, frame, inner) == [frame.size["height"], theme])
    assert within(page, frame, "return document.documentElement.scrollHeight <= innerHeight"), "a second scroll bar"
