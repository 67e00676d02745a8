"""The player of frames: whole in itself, readable without scripts, equal for equal input."""

import base64
import io
import json
import re

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

mpl.use("Agg")
from companion import figures
from companion.cli.checks.pages import _images_without_alt
from companion.figures import player
from companion.figures.player import slider_html


def training(n_frames=6, n_components=3, size=24, n_samples=60):
    """Return a made-up training: turning sectors, and samples that follow them."""
    rng = np.random.default_rng(0)
    line = np.linspace(-1, 1, size)
    angle = np.arctan2(*np.meshgrid(line, line, indexing="ij"))
    offsets = 2 * np.pi * np.arange(n_components) / n_components
    turns = np.linspace(0, 1, n_frames)[:, None, None, None]
    logits = 8 * np.cos(angle[None, ..., None] - offsets - turns)
    maps = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return {
        "maps": np.round(255 * maps).astype(np.uint8),
        "samples": rng.uniform(-1, 1, (n_frames, n_samples, 2)),
        "components": np.arange(n_samples) % n_components,
        "steps": 100 * np.arange(n_frames),
        "lines": (line, line),
        "elbo": np.linspace(-2, 1, n_frames),
        "accuracy": np.linspace(0.3, 1, n_frames),
    }


def state(markup):
    return json.loads(re.search(r'application/json">(.*?)</script>', markup, re.DOTALL).group(1))


def pictures(markup):
    still = re.search(r'<img [^>]*src="([^"]+)"', markup).group(1)
    uris = [*state(markup)["frames"], still]
    return [Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))) for uri in uris]


def squares(n=3):
    frames = []
    for value in range(n):
        stream = io.BytesIO()
        Image.new("L", (4, 4), 40 * value).save(stream, format="PNG")
        frames.append(stream.getvalue())
    return frames, [f"alpha = {value}" for value in range(n)]


def test_frames_and_labels_of_a_training():
    frames, labels = figures.training_frames(**training())
    assert labels[0] == "step 0, ELBO -2.00, accuracy 0.300"
    assert labels[-1] == "step 500, ELBO 1.00, accuracy 1.000"
    sizes = {Image.open(io.BytesIO(frame)).size for frame in frames}
    assert len(frames) == 6
    assert len(sizes) == 1
    assert len(set(frames)) == 6


def test_equal_trainings_give_equal_bytes():
    first, second = (figures.training_frames(**training(2)) for _ in range(2))
    assert first == second


def test_markers_keep_the_colours_of_their_components():
    frames, _ = figures.training_frames(**training(2))
    pixels = np.asarray(Image.open(io.BytesIO(frames[0])).convert("RGB")).reshape(-1, 3)
    found = {tuple(colour) for colour in np.unique(pixels, axis=0).tolist()}
    for c in range(3):
        look = tuple(np.round(255 * np.array(figures.regions.look(c)[0])).astype(int).tolist())
        assert look in found
    assert (255, 255, 255) in found


def test_components_may_change_from_frame_to_frame():
    made = training(2)
    fixed, _ = figures.training_frames(**made)
    each = np.tile(made["components"], (2, 1))
    assert fixed == figures.training_frames(**made | {"components": each})[0]
    each[1] = np.roll(each[1], 1)
    assert fixed[1] != figures.training_frames(**made | {"components": each})[0][1]


def test_curves_and_data_may_be_left_out():
    made = {k: v for k, v in training().items() if k not in ("elbo", "accuracy")}
    frames, labels = figures.training_frames(**made, data=np.zeros((3, 2)))
    assert labels[1] == "step 100"
    assert len(frames) == 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": np.arange(5)}, "frames differ"),
        ({"elbo": np.arange(5)}, "'ELBO': 5"),
        ({"components": np.zeros(7, int)}, "M = 60 samples"),
        ({"samples": np.zeros((6, 60, 3))}, "samples"),
        ({"maps": np.zeros((6, 24, 24))}, "maps"),
        ({"lines": (np.arange(3.0), np.arange(3.0))}, "do not fit"),
    ],
)
def test_a_training_whose_arrays_disagree(change, message):
    with pytest.raises(ValueError, match=message):
        figures.training_frames(**training() | change)


def test_sixty_frames_take_less_than_two_megabytes():
    frames, labels = figures.training_frames(**training(12, size=96, n_samples=600))
    markup = slider_html(frames, labels, alt="turning sectors", play=True)
    assert len(markup) * 60 / 12 < 2_000_000
    assert len(state(markup)["frames"]) == 11
    assert 'max="11"' in markup


def test_the_still_is_the_last_frame_and_all_frames_are_there():
    frames, labels = squares()
    markup = slider_html(frames, labels, alt="squares", seconds=0.2)
    assert [picture.getpixel((0, 0)) for picture in pictures(markup)] == [0, 40, 80]
    assert state(markup)["labels"] == labels
    assert (state(markup)["ms"], state(markup)["play"]) == (200, False)
    assert "@media print" in markup
    assert "prefers-reduced-motion" in markup


def test_markup_is_whole_and_escaped():
    frames, _ = squares(2)
    labels = ["</script><b>", 'a "b" & c']
    markup = slider_html(frames, labels, alt='K < 3,\n "two" > one', caption="a < b")
    assert not list(_images_without_alt(markup))
    assert 'alt="K &lt; 3, &quot;two&quot; &gt; one"' in markup
    assert "<figcaption>a &lt; b</figcaption>" in markup
    assert "<b>" not in markup
    assert markup.count("</script>") == 2
    assert state(markup)["labels"] == labels
    assert not re.search(r"https?:|//[a-z]|\bsrc=\"(?!data:)|@import|url\(", markup)
    assert markup == slider_html(frames, labels, alt='K < 3, "two" > one', caption="a < b")


def test_figures_are_frames_too():
    fig = Figure(figsize=(2, 1))
    fig.subplots().plot([0, 1])
    markup = slider_html([fig, fig], ["a", "b"], alt="a line", dpi=50)
    assert pictures(markup)[0].size == (100, 50)
    assert markup == slider_html([fig, fig], ["a", "b"], alt="a line", dpi=50)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alt": " "}, "alt is empty"),
        ({"labels": ["one"]}, "got 3 and 1"),
        ({"frames": [], "labels": []}, "got 0 and 0"),
        ({"frames": [b"GIF89a"] * 3}, "neither a figure"),
        ({"seconds": 0}, "seconds must be positive"),
    ],
)
def test_bad_arguments(change, message):
    frames, labels = squares()
    given = {"frames": frames, "labels": labels, "alt": "squares"} | change
    with pytest.raises(ValueError, match=message):
        slider_html(given.pop("frames"), given.pop("labels"), **given)


def test_displays_once(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    player.show_animation(**training(3), alt="turning sectors")
    (data,) = shown
    assert state(data["text/html"])["play"] is True
    assert data["text/plain"] == "[3 pictures: turning sectors]"
