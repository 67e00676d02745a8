"""Show a sequence of pictures in a page, with a button and a slider.

What is made is one piece of HTML that names no other file and no address: it works in the book,
in a notebook and from a disk. Without scripts, and on paper, it shows the last picture.
"""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_KINDS = {b"\x89PNG": "png", b"RIFF": "webp", b"\xff\xd8\xff": "jpeg"}


def slider(
    frames: Sequence[bytes | Figure],
    labels: Sequence[str],
    *,
    alt: str,
    caption: str | None = None,
    seconds: float = 0.15,
    play: bool = False,
    dpi: int = 80,
) -> None:
    """Display pictures one at a time, chosen by a slider, in the output of the current cell.

    The arrow keys move the slider once it has the focus. An address that ends in ``#frame=7``
    opens the page at the seventh picture.

    Parameters
    ----------
    frames
        PNG, WebP or JPEG bytes, or figures, which are drawn as PNG and left open.
    labels
        What each picture shows, a few words.
    alt
        What the sequence shows, for readers who do not see it: the axes, what changes, and
        the numbers that matter.
    caption
        Plain text below.
    seconds
        How long a picture stays while playing.
    play
        Start by itself when it comes into view, unless the reader has asked for less motion;
        it stops at the last picture.
    dpi
        Dots per inch of the figures.

    Raises
    ------
    ValueError
        If there is no frame, not one label for each, a frame is no picture, `alt` is empty,
        or `seconds` is not positive.
    """
    from IPython.display import display

    markup = slider_html(
        frames, labels, alt=alt, caption=caption, seconds=seconds, play=play, dpi=dpi
    )
    display({"text/html": markup, "text/plain": f"[{len(labels)} pictures: {alt}]"}, raw=True)


def show_animation(
    maps: Any,
    samples: Any,
    components: Any,
    steps: Any,
    lines: Any,
    *,
    alt: str,
    elbo: Any = None,
    accuracy: Any = None,
    data: Any = None,
    caption: str | None = None,
    seconds: float = 0.15,
) -> None:
    """Display a training as an animation: posterior regions and samples of every component.

    Parameters
    ----------
    maps, samples, components, steps, lines, elbo, accuracy, data
        As for :func:`companion.figures.training_frames`.
    alt, caption, seconds
        As for :func:`slider`.

    Raises
    ------
    ValueError
        As for both.
    """
    from companion.figures.animation import training_frames

    frames, labels = training_frames(
        maps, samples, components, steps, lines, elbo=elbo, accuracy=accuracy, data=data
    )
    slider(frames, labels, alt=alt, caption=caption, seconds=seconds, play=True)


def slider_html(
    frames: Sequence[bytes | Figure],
    labels: Sequence[str],
    *,
    alt: str,
    caption: str | None = None,
    seconds: float = 0.15,
    play: bool = False,
    dpi: int = 80,
) -> str:
    """Return what :func:`slider` displays; equal arguments give equal text."""
    if not alt.strip():
        raise ValueError("alt is empty; describe what the pictures show in a sentence or two")
    if not frames or len(frames) != len(labels):
        raise ValueError(f"need a label for each frame, got {len(frames)} and {len(labels)}")
    if not seconds > 0:
        raise ValueError(f"seconds must be positive, got {seconds!r}")
    *before, last = [_data_uri(frame, dpi) for frame in frames]
    # A "<" in the JSON could close the script that holds it.
    state = {"frames": before, "labels": list(labels), "ms": round(1000 * seconds), "play": play}
    stored = json.dumps(state, separators=(",", ":")).replace("<", "\\u003c")
    text = html.escape(" ".join(alt.split()), quote=True)
    below = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    return (
        '<figure class="mixflow-figure mixflow-player">'
        f'<img class="mixflow-still" src="{last}" alt="{text}">'
        '<div class="mixflow-controls" hidden><button type="button">Play</button>'
        f'<input type="range" min="0" max="{len(before)}" value="{len(before)}" step="1"'
        f' aria-label="picture"><span>{html.escape(labels[-1])}</span></div>{below}'
        f'<script type="application/json">{stored}</script></figure>'
        f"<style>{_STYLE}</style><script>{_SCRIPT}</script>"
    )


def _data_uri(frame: bytes | Figure, dpi: int) -> str:
    """Return a picture as a data URI."""
    content = frame if isinstance(frame, bytes) else _png(frame, dpi)
    kind = next((kind for start, kind in _KINDS.items() if content.startswith(start)), None)
    if kind is None:
        raise ValueError("a frame is neither a figure nor the bytes of a PNG, WebP or JPEG")
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _png(fig: Figure, dpi: int) -> bytes:
    """Return a figure as PNG, without the version of the program that drew it."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


_STYLE = """
.mixflow-player img { max-width: 100%; height: auto; }
.mixflow-controls { display: flex; gap: .75em; align-items: center; max-width: 44em; }
.mixflow-controls[hidden] { display: none; }
.mixflow-controls button { min-width: 5em; }
.mixflow-controls input { flex: 1 1 8em; min-width: 6em; }
.mixflow-controls span { flex: 0 1 18em; font-variant-numeric: tabular-nums; }
@media screen { .mixflow-ready .mixflow-still { display: none; } }
@media print { .mixflow-controls, .mixflow-live { display: none !important; } }
"""

# Every player of the page that is not yet alive is made so: the order of scripts and of
# players does not matter, and a page with two players has no names that collide.
_SCRIPT = """
document.querySelectorAll('.mixflow-player:not(.mixflow-ready)').forEach(function (player) {
  var state = JSON.parse(player.querySelector('script').textContent);
  var still = player.querySelector('img'), live = still.cloneNode();
  var button = player.querySelector('button'), range = player.querySelector('input');
  var label = player.querySelector('span'), last = state.labels.length - 1, timer = null;
  state.frames.push(still.src);
  live.className = 'mixflow-live';
  still.after(live);
  function show(index) {
    range.value = index;
    live.src = state.frames[index];
    label.textContent = state.labels[index];
    range.setAttribute('aria-valuetext', state.labels[index]);
  }
  function pause() {
    clearInterval(timer);
    timer = null;
    button.textContent = 'Play';
  }
  function next() {
    if (+range.value < last) { show(+range.value + 1); }
    if (+range.value >= last) { pause(); }
  }
  function start() {
    if (+range.value >= last) { show(0); }
    timer = setInterval(next, state.ms);
    button.textContent = 'Pause';
  }
  button.addEventListener('click', function () { timer === null ? start() : pause(); });
  range.addEventListener('input', function () { pause(); show(+range.value); });
  player.querySelector('.mixflow-controls').hidden = false;
  player.classList.add('mixflow-ready');
  var asked = /frame=(\\d+)/.exec(location.hash);
  show(asked ? Math.max(0, Math.min(asked[1] - 1, last)) : state.play ? last : 0);
  var calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
  if (state.play && !asked && !calm && 'IntersectionObserver' in window) {
    new IntersectionObserver(function (entries, observer) {
      if (entries.some(function (entry) { return entry.isIntersecting; })) {
        observer.disconnect();
        start();
      }
    }, { threshold: 0.6 }).observe(player);
  }
});
"""
