"""Random shifts of images: against slices of the padded image."""

import torch

from mixflow.training.vi import shifted


def test_every_shift_is_a_slice_of_the_padded_image():
    torch.manual_seed(0)
    images = torch.randn(60, 2, 4, 5)
    most = 2
    moved = shifted(images, most)
    padded = torch.nn.functional.pad(images, (most,) * 4, mode="replicate")
    offsets = set()
    for image, around in zip(moved, padded, strict=True):
        places = [
            (i, j)
            for i in range(2 * most + 1)
            for j in range(2 * most + 1)
            if torch.equal(image, around[:, i : i + 4, j : j + 5])
        ]
        assert len(places) == 1
        offsets.add(places[0])
    assert {i for i, _ in offsets} == {j for _, j in offsets} == set(range(5))


def test_no_shift_draws_nothing():
    images = torch.randn(3, 1, 4, 4)
    before = torch.get_rng_state()
    assert shifted(images, 0) is images
    assert torch.equal(before, torch.get_rng_state())
