"""Puts the interactive page, docs/play, into what Sphinx builds: beside the pages, and in the place of a picture on play.md."""

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

PLAY = Path(__file__).with_name("play")
PICTURE = re.compile(r'<img [^>]*src="_images/animation\.svg"[^>]*>')

# The page within has no scroll bar of its own, and the theme of the page around.
FRAME = """\
<iframe id="play" src="play/index.html" title="Optimizers to play with" style="width: 100%; height: 75rem; border: 0"></iframe>
<script>
{
  const frame = document.getElementById("play");
  const tell = () => frame.contentWindow.postMessage({ theme: document.body.dataset.theme }, "*");
  frame.addEventListener("load", tell);
  new MutationObserver(tell).observe(document.body, { attributeFilter: ["data-theme"] });
  addEventListener("message", ({ source, data }) => {
    if (source === frame.contentWindow) frame.style.height = `${data.height}px`;
  });
}
</script>"""


def embed(app: "Sphinx", page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    if page == "play":
        context["body"], found = PICTURE.subn(FRAME, context["body"])
        assert found == 1, "play.md has no picture for the interactive page to take the place of"


def ship(app: "Sphinx", exception: Exception | None) -> None:
    if app.builder.format == "html" and exception is None:
        shutil.copytree(PLAY, app.outdir / "play", dirs_exist_ok=True)
