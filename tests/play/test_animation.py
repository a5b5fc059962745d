"""The animation that leads the README."""

import pytest

from .browser import PLAY, Browser

ANIMATION = PLAY.with_name("animation.svg")


def test_an_image_may_be_like_that() -> None:
    """Code hosts show an SVG as an image: no scripts, and nothing from elsewhere."""
    text = ANIMATION.read_text()
    assert len(text) < 150_000
    assert "<script" not in text and "href" not in text and "url(#" in text


@pytest.mark.parametrize(("motion", "moving"), [("no-preference", 16), ("reduce", 0)])
def test_it_moves_unless_less_motion_is_wanted(page: Browser, motion: str, moving: int) -> None:
    page.media("prefers-reduced-motion", motion)
    page.open(url=ANIMATION.as_uri())
    assert page.run("return document.getAnimations().length") == moving  # a line and its head, of four, in two pictures
