"""Figures of style transfer draw what the runs store."""

import io

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

mpl.use("Agg")
import matplotlib.pyplot as plt

from companion.figures import basis_style as figures
from companion.gmm_basis.gram import Triangles, gram
from companion.gmm_basis.style_measures import encode, example_grams


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def picture(red, height=16, width=16):
    return encode(torch.tensor([red, 0.2, 0.2]).view(3, 1, 1).expand(3, height, width))


@pytest.fixture(scope="module")
def arrays():
    generator = torch.Generator().manual_seed(0)
    layout = Triangles({"conv1_1": 5, "conv2_1": 6})
    rows = []
    for scale in (1.0, 2.0):
        maps = {n: torch.rand(30, c, 9, 9, generator=generator) for n, c in layout.channels.items()}
        rows.append(layout.row({name: gram(scale * m) for name, m in maps.items()}))
    pictures = {f"{kind}style {n}": picture(0.5) for kind in ("", "crops of ") for n in (1, 2)}
    return {**example_grams(rows, rows[0][0] - 0.3, layout), **pictures}


def test_pictures_keep_their_proportions_and_colours():
    fig = figures.pictures([picture(1.0), picture(0.2, 16, 32)], ["red", "wide"])
    assert [axes.get_title() for axes in fig.axes] == ["red", "wide"]
    first, second = (axes.images[0].get_array() for axes in fig.axes)
    assert first.shape == (16, 16, 3)
    assert second.shape == (16, 32, 3)
    assert first[8, 8, 0] > 240
    with pytest.raises(ValueError, match="argument"):
        figures.pictures([picture(1.0)], ["one", "two"])


def test_crops_and_grams(arrays):
    fig = figures.crops_and_grams(arrays, ("night", "flowers"))
    titles = [axes.get_title() for axes in fig.axes]
    assert titles[0] == "style 1: night"
    assert titles[3] == "style 2: flowers"
    drawn = fig.axes[5].images[0].get_array()
    np.testing.assert_allclose(drawn**2, arrays["Gram matrix, style 2"], rtol=1e-5)
    assert fig.axes[2].images[0].get_clim() == fig.axes[5].images[0].get_clim()


def test_entry_densities_peak_where_the_crops_are(arrays):
    fig = figures.entry_densities(arrays, n_components=100, sigma=2.0, share=0.4)
    assert [axes.get_title() for axes in fig.axes] == ["conv1_1", "conv2_1"]
    for axes, layer in zip(fig.axes, ("conv1_1", "conv2_1"), strict=True):
        one, both, *_ = axes.get_lines()
        first, second = arrays[f"entry of {layer}"]
        x, y = one.get_data()
        assert first.min() < x[y.argmax()] < first.max()
        x, y = both.get_data()
        assert y[x > second.min()].max() > 0.1, "a second hump"
        assert one.get_linestyle() != both.get_linestyle()


def test_eigenvalues_show_what_is_negative(arrays):
    fig = figures.eigenvalues(arrays)
    real, sampled, *_ = fig.axes[0].get_lines()
    assert real.get_ydata().min() > -1e-5
    assert sampled.get_ydata().min() < 0
    assert len(sampled.get_xdata()) == 5
    assert fig.axes[0].get_yscale() == "symlog"


@pytest.fixture
def rows():
    lines = []
    for model, seeds in (("basis", (0, 1)), ("mean", (0,))):
        for seed in seeds:
            for share in (0.0, 0.4, 0.8):
                setting = f"share={share:g} variation=0 128 px"
                values = {"distance_1": share**2, "distance_2": (1 - share) ** 2 + seed / 10}
                values["position"] = share
                lines += [(model, setting, seed, m, v) for m, v in values.items()]
            lines.append((model, "128 px", seed, "spearman_1", 1.0))
    return pd.DataFrame(lines, columns=["model", "setting", "seed", "metric", "value"])


def test_images_table(rows):
    table = figures.images_table(rows)
    assert len(table) == 9
    line = table[(table["model"] == "basis") & (table["seed"] == 1) & (table["share"] == 0.4)]
    assert line[["variation", "size"]].to_numpy().tolist() == [[0, 128]]
    assert line["distance_2"].item() == pytest.approx(0.46)
    assert "spearman_1" not in table


def test_distances_by_share(rows):
    left, right = figures.distances_by_share(figures.images_table(rows)).axes
    assert [line.get_label() for line in left.get_lines()] == ["from style 1", "from style 2"]
    assert left.get_lines()[1].get_ydata().tolist() == pytest.approx([1.05, 0.41, 0.09])
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["basis", "mean"]
    looks = {(line.get_marker(), line.get_linestyle()) for line in right.get_lines()[:2]}
    assert len(looks) == 2


def test_frames_stand_side_by_side():
    rows = [[picture(0.1), picture(0.9)], [picture(0.5), picture(0.5)]]
    frames = figures.frames(rows, ["a", "b"], side=40)
    sheets = [np.asarray(Image.open(io.BytesIO(frame))) for frame in frames]
    assert [sheet.shape for sheet in sheets] == [(58, 88, 3)] * 2
    reds = [[int(sheet[40, x, 0]) for x in (20, 68)] for sheet in sheets]
    np.testing.assert_allclose(reds, [[26, 128], [230, 128]], atol=8)
    assert frames == figures.frames(rows, ["a", "b"], side=40)


def test_ten_frames_are_small():
    generator = torch.Generator().manual_seed(0)
    noise = [encode(torch.rand(3, 128, 128, generator=generator)) for _ in range(10)]
    frames = figures.frames([noise, noise], ["a", "b"])
    assert sum(map(len, frames)) * 4 / 3 < 2_000_000


@pytest.mark.parametrize("rows", [[[1, 2], [1]], [[1]]])
def test_frames_that_do_not_fit(rows):
    with pytest.raises(ValueError, match="rows of one length and a name for each"):
        figures.frames(rows, ["a", "b"])
