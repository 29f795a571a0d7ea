"""Images: which columns are pixels, what may be done to them, and what is done."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hook_bench import moment, numbers, stacked
from scipy import ndimage

from autoreg.data import load
from autoreg.engines.draws import Streams
from autoreg.engines.scaling import Scaling
from autoreg.errors import DataError, SpecError
from autoreg.hooks import Facts, Picture
from autoreg.space import Space
from autoreg.spec import DataSpec, read_space, study_from
from autoreg.techniques import technique
from autoreg.techniques.image_augmentation import _maps, _moved

IMAGE = {"height": 8, "width": 8, "symmetries": ["shift", "rotate"]}


def digits(**changes):
    return DataSpec(source="digits", image=IMAGE | changes)


def picture(*symmetries, height=12, width=8, channels=1):
    pixels = height * width * channels
    mean, scale = torch.zeros(1, 1, pixels), torch.ones(1, 1, pixels)
    return Picture(height, width, channels, frozenset(symmetries), mean, scale)


def augmented(inputs, magnitude, image):
    groups = torch.arange(inputs.shape[2])[None]
    known = Facts(groups, torch.ones(1, 1, inputs.shape[2]), inputs.shape[2], picture=image)
    hook = technique("image_augmentation").batch
    here = replace(moment(), facts=known)
    return hook(inputs, inputs, stacked({"magnitude": magnitude}), Streams([1]), here)


# ---- data ------------------------------------------------------------------------------------


def test_a_table_of_pixels_knows_how_they_lie():
    data = load(digits())
    assert (data.image.height, data.image.pixels, data.is_symmetric) == (8, 64, True)
    assert data.rows(np.arange(5)).image == data.image
    assert not load(digits(symmetries=[])).is_symmetric
    assert not load(DataSpec(source="digits")).is_symmetric


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (digits(height=9), ["64 feature columns", "9 x 8 x 1 = 72 pixels", "correct its size"]),
        (digits(channels=3), ["192 pixels"]),
        (
            DataSpec(source="digits", image=IMAGE, categorical=("pixel_0_3",)),
            ["pixel_0_3", "no pixel"],
        ),
    ],
)
def test_columns_that_are_no_image_are_refused(spec, words):
    with pytest.raises(DataError) as caught:
        load(spec)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "image",
    [{"height": 8}, IMAGE | {"hight": 8}, IMAGE | {"symmetries": ["mirror"]}, IMAGE | {"width": 0}],
)
def test_an_image_that_is_misspelt_is_refused(image):
    with pytest.raises(SpecError, match="image"):
        study_from({"study": "s", "data": {"source": "digits", "image": image}})


def test_without_symmetries_augmentation_is_left_out_and_the_reason_told():
    spec = read_space("cocktail")
    assert "image_augmentation" not in Space.build(spec, "binary").left_out
    left_out = Space.build(spec, "binary", symmetric=False).left_out
    assert left_out == {"image_augmentation": "data: image: names no symmetries"}


def test_pixels_are_told_their_training_statistics():
    data = load(digits())
    scaling = Scaling.fit(data, np.arange(500))
    known = scaling.facts.picture
    assert np.allclose(known.mean[0, 0], data.X[:500].mean(axis=0))
    assert np.allclose(known.scale[0, 0], data.X[:500].std(axis=0), atol=1e-6)
    assert Scaling.fit(load(DataSpec(source="digits")), np.arange(500)).facts.picture is None


# ---- what is done ----------------------------------------------------------------------------


def test_only_declared_symmetries_are_used():
    images = numbers(1, 200, 96)
    still, targets = augmented(images, 1.0, picture())
    assert torch.allclose(still, images, atol=1e-5)
    assert targets is images
    for name in ("shift", "rotate", "zoom", "flip", "erase"):
        assert float((augmented(images, 1.0, picture(name))[0] - images).abs().mean()) > 0.05
    assert torch.equal(augmented(images, 0.0, picture("shift", "flip", "erase"))[0], images)


def ways(**places):
    names = ("rotate", "zoom", "right", "down", "flip")
    return torch.tensor([[[places.get(name, 0.99 if name == "flip" else 0.5) for name in names]]])


def warped(image, name, **places):
    one, magnitude = picture(name), torch.ones(1, 1, 1)
    maps = _maps(magnitude, ways(**places), one)
    return _moved(image.reshape(1, 1, -1), maps, one).reshape(12, 8)


def test_a_shift_moves_the_image_and_repeats_its_border():
    """A quarter of the image: three rows, two columns."""
    image = numbers(12, 8)
    rows, columns = np.minimum(np.arange(12) + 3, 11), np.minimum(np.arange(8) + 2, 7)
    got = warped(image, "shift", right=1.0, down=1.0)
    assert torch.allclose(got, image[rows][:, columns], atol=1e-5)


def test_a_flip_turns_left_into_right():
    image = numbers(12, 8)
    assert torch.allclose(warped(image, "flip", flip=0.0), image.flip(1), atol=1e-5)
    assert torch.allclose(warped(image, "flip", flip=0.51), image, atol=1e-5)


def test_a_turn_is_a_rotation_of_the_pixels_and_no_shear():
    rows, columns = np.mgrid[0:12, 0:8]
    image = np.exp(-((rows - 5.5) ** 2 / 18 + (columns - 3.5) ** 2 / 4))
    got = warped(torch.tensor(image).float(), "rotate", rotate=1.0).numpy()
    either = [
        ndimage.rotate(image, angle, reshape=False, order=1, mode="nearest") for angle in (30, -30)
    ]
    inside = (slice(2, 10), slice(1, 7))
    errors = [np.abs(got - one)[inside].max() for one in either]
    assert min(errors) < 0.02 < max(errors)


def test_zoom_draws_pixels_towards_the_middle():
    image = torch.zeros(12, 8)
    image[4:8, 2:6] = 1.0
    larger, smaller = (warped(image, "zoom", zoom=place).sum() for place in (0.0, 1.0))
    assert float(larger) == pytest.approx(16 / 0.7**2, rel=0.05)
    assert float(smaller) == pytest.approx(16 / 1.3**2, rel=0.05)


def test_channels_of_a_pixel_move_together_and_constant_pixels_stay_zero():
    one = picture("shift", "rotate", channels=3)
    scale = one.scale.clone()
    scale[..., :6] = 0.0
    one = replace(one, scale=scale)
    grey = numbers(1, 30, 96).repeat_interleave(3, dim=2)
    grey[..., :6] = 0.0
    out, _ = augmented(grey, 1.0, one)
    channels = out.view(1, 30, 96, 3)
    assert torch.equal(channels[..., 0], channels[..., 1])
    assert not out[..., :6].any()
    assert torch.isfinite(out).all()


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_a_square_of_an_image_has_its_share_and_one_piece(share):
    one = picture(height=40, width=40, channels=2)
    region = one.square(torch.full((1, 400, 1), share), Streams([1]))
    cells = region.view(400, 40, 40, 2)
    assert torch.equal(cells[..., 0], cells[..., 1])
    rows, columns = cells[..., 0].any(dim=2).sum(dim=1), cells[..., 0].any(dim=1).sum(dim=1)
    assert torch.equal(rows * columns, cells[..., 0].sum(dim=(1, 2)))
    whole = int(rows.max()), int(columns.max())
    assert math.isclose(whole[0] * whole[1] / 1600, share, rel_tol=0.15)
    assert not one.square(torch.zeros(1, 9, 1), Streams([1])).any()


def test_of_images_cutout_hides_a_square():
    one = picture()
    groups = torch.arange(96)[None]
    known = Facts(groups, torch.ones(1, 1, 96), 96, picture=one)
    here, ones = replace(moment(), facts=known), torch.ones(1, 50, 96)
    out, _ = technique("cutout").batch(ones, ones, stacked({"share": 0.2}), Streams([1]), here)
    gone = (out == 0).view(50, 12, 8)
    rows, columns = gone.any(dim=2).sum(dim=1), gone.any(dim=1).sum(dim=1)
    assert torch.equal(rows * columns, gone.sum(dim=(1, 2)))
    assert int(gone.sum()) > 0
