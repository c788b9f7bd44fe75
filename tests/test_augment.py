"""Augmentation: what each transform does to images, chains, random numbers, the loader."""

import importlib

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.data import CutMix, DataLoader, MixUp, Subset, TensorDataset, cutmix, mixed_loss
from fastgrad.data.augment import (
    CenterCrop,
    ColorJitter,
    Compose,
    ConvertImageDtype,
    GaussianNoise,
    Normalize,
    Pad,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomRotation,
    RandomShift,
    RandomVerticalFlip,
    Transform,
)
from fastgrad.tensor import Tensor

mixup = importlib.import_module("fastgrad.data.mix").mixup


def images(*shape, dtype=np.float32, seed=0):
    x = np.random.default_rng(seed).random(shape)
    return (x * 255).astype(dtype) if dtype == np.uint8 else x.astype(dtype)


both_backends = pytest.mark.parametrize("backend", ["numba", "numpy"])

# ------------------------------------------------------------------ places


def test_flips():
    x = images(50, 2, 5, 7)
    np.testing.assert_array_equal(RandomHorizontalFlip(1)(x), x[..., ::-1])
    np.testing.assert_array_equal(RandomVerticalFlip(1)(x), x[..., ::-1, :])
    np.testing.assert_array_equal(RandomHorizontalFlip(0)(x), x)
    some = RandomHorizontalFlip(0.5)(x)
    turned = (some == x[..., ::-1]).all(axis=(1, 2, 3))
    assert ((some == x).all(axis=(1, 2, 3)) ^ turned).all()
    assert 10 < turned.sum() < 40


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_pad_and_center_crop(dtype):
    x = images(3, 2, 5, 6, dtype=dtype)
    padded = Pad((1, 2, 3, 4), fill=7)(x)
    expected = np.pad(x, [(0, 0), (0, 0), (2, 4), (1, 3)], constant_values=7)
    np.testing.assert_array_equal(padded, expected)
    assert padded.dtype == dtype
    np.testing.assert_array_equal(CenterCrop((3, 4))(x), x[..., 1:4, 1:5])
    np.testing.assert_array_equal(Pad((2, 1))(x).shape, (3, 2, 7, 10))


@both_backends
@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_crops_are_windows_of_the_padded_image_all_equally_likely(backend, dtype):
    fg.set_backend(backend)
    image = np.arange(20, dtype=dtype).reshape(1, 4, 5) + dtype(1)
    crops = RandomCrop((4, 4), padding=1)(np.repeat(image, 600, axis=0))
    padded = np.pad(image[0], 1)
    windows = {padded[i : i + 4, j : j + 4].tobytes(): 0 for i in range(3) for j in range(4)}
    for crop in crops:
        windows[crop.tobytes()] += 1
    assert min(windows.values()) > 20  # 50 each on the average
    assert sum(windows.values()) == 600


def test_crop_pads_if_needed_and_refuses_otherwise():
    x = images(2, 3, 4)
    assert RandomCrop(6, pad_if_needed=True)(x).shape == (2, 6, 6)
    with pytest.raises(ValueError, match=r"RandomCrop: size \(6, 6\) of images that are \(3, 4\)"):
        RandomCrop(6)(x)


def test_shifts():
    image = np.arange(1.0, 10).reshape(1, 3, 3)
    for shifted in RandomShift((1, 0), fill=-1)(np.repeat(image, 30, axis=0)):
        moves = [np.full((3, 3), -1.0) for _ in range(3)]
        moves[0][:, 1:], moves[1], moves[2][:, :-1] = image[0][:, :-1], image[0], image[0][:, 1:]
        assert any((shifted == move).all() for move in moves)


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize(
    ("degrees", "translate", "scale", "shear"),
    [(20, None, 1.0, None), (0, None, 1.3, None), (0, None, 1.0, 15), (-33, None, 0.8, 10)],
)
def test_affine_maps_against_scipy(interpolation, degrees, translate, scale, shear):
    ndimage = pytest.importorskip("scipy.ndimage")
    x = ndimage.gaussian_filter(np.random.default_rng(0).random((2, 15, 18)), (0, 1, 1))
    shears = (0, 0) if shear is None else (shear, shear)
    ours = RandomAffine(
        (degrees, degrees), scale=(scale, scale), shear=shears, interpolation=interpolation,
        fill=0.5,
    )(x)  # fmt: skip
    turn, lean = np.radians(degrees), np.tan(np.radians(shear or 0))
    there = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    back = np.linalg.inv(there @ [[1, -lean], [0, 1]] * scale)[::-1, ::-1]  # rows before columns
    centre = np.array([7.0, 8.5])
    for image, result in zip(x, ours, strict=True):
        expected = ndimage.affine_transform(
            image, back, centre - back @ centre, order=int(interpolation == "bilinear"),
            mode="grid-constant", cval=0.5,
        )  # fmt: skip
        np.testing.assert_allclose(result, expected, atol=1e-10)


def test_rotation_against_pytorch():
    torch = pytest.importorskip("torch")
    x, angle = images(2, 3, 16, 20, dtype=np.float64), np.radians(25)
    ours = RandomRotation((-25, -25), interpolation="bilinear")(x)  # clockwise
    cosine, sine = np.cos(angle), np.sin(angle)
    ratio = 20 / 16  # affine_grid's coordinates go from -1 to 1 in both directions
    matrix = torch.tensor([[cosine, sine / ratio, 0.0], [-sine * ratio, cosine, 0.0]])
    matrix = matrix.double().expand(2, 2, 3)
    grid = torch.nn.functional.affine_grid(matrix, (2, 3, 16, 20), align_corners=False)
    theirs = torch.nn.functional.grid_sample(torch.tensor(x), grid, align_corners=False)
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-10)


def test_quarter_turns_are_counter_clockwise_and_exact():
    x = images(2, 3, 6, 6)
    for interpolation in ("nearest", "bilinear"):
        turned = RandomRotation((90, 90), interpolation)(x)
        np.testing.assert_allclose(turned, np.rot90(x, axes=(2, 3)), atol=1e-6)


def test_angles_and_moves_stay_in_their_ranges():
    point = np.zeros((500, 21, 21))
    point[:, 10, 16] = 1
    turned = RandomRotation(30, interpolation="bilinear")(point).reshape(500, -1)
    rows, columns = np.divmod(turned.argmax(axis=1), 21)
    angles = np.degrees(np.arctan2(10 - rows, columns - 10))
    assert -36 < angles.min() < -20
    assert 20 < angles.max() < 36
    moved = RandomAffine(0, translate=(0.2, 0.1))(point)
    rows, columns = np.array([np.argwhere(image)[0] for image in moved]).T
    assert set(rows - 10) == set(range(-2, 3))
    assert set(columns - 16) == set(range(-4, 5))


def test_places_in_a_row_are_one_map():
    """What a shift moves out of the image, the next one can bring back."""
    x = images(4, 9, 9)
    twice = Compose([RandomAffine((90, 90)), RandomAffine((-45, -45)), RandomAffine((-45, -45))])
    np.testing.assert_allclose(twice(x), x, atol=1e-6)
    assert len(twice._runs[0]._passes((1, 9, 9), x.dtype)) == 1


# ------------------------------------------------------------------ values


def test_normalize_and_convert():
    x = images(4, 3, 5, 5, dtype=np.uint8)
    chain = Compose([ConvertImageDtype(), Normalize([0.1, 0.2, 0.3], [0.5, 0.6, 0.7])])
    mean, std = (np.float32(v).reshape(3, 1, 1) for v in ([0.1, 0.2, 0.3], [0.5, 0.6, 0.7]))
    expected = (x * np.float32(1 / 255) - mean) / std
    assert chain(x).dtype == np.float32
    np.testing.assert_allclose(chain(x), expected, atol=1e-6)
    assert len(chain._runs[0]._passes((3, 5, 5), x.dtype)) == 1


def test_noise_is_normal():
    x = np.zeros((100, 1, 40, 40))
    noise = GaussianNoise(0.5, 2.0, clip=False)(x)
    n = noise.size
    normal = (noise - 0.5) / 2
    assert abs(normal.mean()) < 5 / np.sqrt(n)
    assert abs(normal.var() - 1) < 5 * np.sqrt(2 / n)
    assert abs((normal**4).mean() - 3) < 5 * np.sqrt(96 / n)
    for limit, share in ((1, 0.3173105), (2, 0.0455003), (3, 0.0026998)):
        assert abs((abs(normal) > limit).mean() - share) < 5 * np.sqrt(share / n)
    flat = normal.reshape(100, -1)
    for step in (1, 2, 4, 16, 64):  # neighbours, and images, are independent
        assert abs((flat[:, step:] * flat[:, :-step]).mean()) < 5 / np.sqrt(n)
    assert abs((flat[1:] * flat[:-1]).mean()) < 5 / np.sqrt(n)
    clipped = GaussianNoise(0, 1)(x)
    assert (clipped.min(), clipped.max()) == (0, 1)


def test_noise_of_bytes():
    noise = GaussianNoise(0.5, 0.1)(np.zeros((20, 1, 30, 30), np.uint8))
    assert noise.dtype == np.uint8
    assert abs(noise.mean() - 127.5) < 1
    assert abs(noise.std() - 25.5) < 1


def test_jitter():
    x = images(3, 3, 6, 6, dtype=np.float64)
    grey = (x * np.reshape([0.2989, 0.587, 0.114], (3, 1, 1))).sum(1).mean(axis=(1, 2))
    grey = grey.reshape(3, 1, 1, 1)
    darker = ColorJitter(brightness=(0.5, 0.5))(x)
    np.testing.assert_allclose(darker, x / 2)
    np.testing.assert_allclose(ColorJitter(brightness=(3, 3))(x), np.minimum(3 * x, 1))
    flatter = ColorJitter(contrast=(0.25, 0.25))(x)
    np.testing.assert_allclose(flatter, 0.25 * x + 0.75 * grey)
    factors = (ColorJitter(brightness=0.4)(np.full((300, 1, 2, 2), 0.5)) / 0.5)[:, 0, 0, 0]
    assert 0.6 <= factors.min() < 0.65
    assert 1.35 < factors.max() <= 1.4


@both_backends
def test_erasing(backend):
    fg.set_backend(backend)
    x = np.ones((400, 2, 20, 30), np.float32)
    erased = RandomErasing(0.5, scale=(0.1, 0.2), ratio=(0.5, 2), value=0.25)(x)
    boxes = []
    for image in erased:
        rows, columns = np.nonzero(image[0] != 1)
        if rows.size:
            box = np.ones((20, 30), np.float32)
            box[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = 0.25
            np.testing.assert_array_equal(image, [box, box])
            boxes.append((np.ptp(rows) + 1, np.ptp(columns) + 1))
    assert 140 < len(boxes) < 260
    height, width = np.array(boxes, float).T
    assert ((height * width).min() > 0.08 * 600) & ((height * width).max() < 0.22 * 600)
    assert ((height / width).min() > 0.4) & ((height / width).max() < 2.5)
    assert RandomErasing(1, value="random")(x)[:, 0].std() > 0.1


# ------------------------------------------------------------------ chains and random numbers

_CHAIN = Compose(
    [
        RandomCrop(12, padding=2),
        RandomHorizontalFlip(),
        RandomRotation(20, interpolation="bilinear"),
        ColorJitter(0.3, 0.3),
        GaussianNoise(sigma=0.05),
        RandomErasing(),
    ]
)


def test_a_chain_is_cut_where_it_must_be():
    def passes(*members, dtype=np.float32):
        return len(Compose(members)._runs[0]._passes((1, 8, 8), np.dtype(dtype)))

    flip, turn, noise = RandomHorizontalFlip(), RandomRotation(9, "bilinear"), GaussianNoise()
    assert passes(flip, turn, RandomCrop(6), noise, RandomErasing()) == 1
    assert passes(noise, turn) == 2
    assert passes(turn, RandomRotation(9, "nearest")) == 2
    assert passes(turn, Pad(1, fill=1)) == 2
    assert passes(Pad(1, fill=255), ConvertImageDtype(), turn, dtype=np.uint8) == 2
    assert passes(Pad(1, fill=255), ConvertImageDtype(), Pad(1, fill=1), dtype=np.uint8) == 1


def test_a_cut_chain_is_its_parts_one_after_the_other():
    x = images(6, 2, 10, 10)
    first, second = GaussianNoise(), RandomRotation(30)
    fg.manual_seed(5)
    together = Compose([Compose([first]), second])(x)
    fg.manual_seed(5)
    np.testing.assert_array_equal(together, second(first(x)))


def test_functions_of_ones_own_in_a_chain():
    x = Tensor(images(3, 1, 4, 4))
    chain = Compose([RandomHorizontalFlip(1), lambda x: x * 2, RandomHorizontalFlip(1)])
    np.testing.assert_array_equal(chain(x).data, 2 * x.data)
    assert isinstance(chain(x), Tensor)
    assert isinstance(chain(x.data), np.ndarray)


def test_the_seed_decides_and_images_differ():
    x = np.repeat(images(1, 1, 12, 12), 30, axis=0)
    fg.manual_seed(1)
    first, second = _CHAIN(x), _CHAIN(x)
    fg.manual_seed(1)
    np.testing.assert_array_equal(_CHAIN(x), first)
    assert len({image.tobytes() for image in (*first, *second)}) == 60


@pytest.mark.usefixtures("always_threaded")
def test_any_number_of_threads_gives_the_same_bits():
    x = images(37, 3, 12, 12)
    fg.manual_seed(3)
    threaded = _CHAIN(x)
    fg.set_num_threads(1)
    fg.manual_seed(3)
    assert _CHAIN(x).tobytes() == threaded.tobytes()


def test_a_chain_in_a_compiled_step():
    x = fg.tensor(images(5, 1, 12, 12))
    step = fg.compile(lambda x: Tensor(_CHAIN.of_rows(x.data, np.arange(5))) * 1)
    fg.manual_seed(9)
    eager = [Tensor(_CHAIN.of_rows(x.data, np.arange(5))).numpy() for _ in range(3)]
    fg.manual_seed(9)
    for expected in eager:
        np.testing.assert_array_equal(step(x).numpy(), expected)


def test_empty_batches_and_nan():
    assert _CHAIN(np.zeros((0, 1, 12, 12))).shape == (0, 1, 12, 12)
    assert np.isnan(RandomHorizontalFlip()(np.full((1, 2, 2), np.nan))).all()
    assert np.isnan(ColorJitter(0.5)(np.full((1, 2, 2), np.nan))).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomHorizontalFlip(1.5), "p = 1.5 is not a probability"),
        (lambda: RandomRotation(-5), "degrees is -5; expected a number from 0 up"),
        (lambda: RandomRotation((5, -5)), "degrees is .* expected the smaller number first"),
        (lambda: RandomRotation(5, expand=True), "images of a batch keep their size"),
        (lambda: RandomRotation(5, "cubic"), "interpolation is 'cubic'; expected 'nearest' or"),
        (lambda: RandomAffine(5, translate=(2, 0)), "translate is .* two shares from 0 to 1"),
        (lambda: RandomAffine(5, scale=(0, 1)), "scale is .* expected numbers above 0"),
        (lambda: RandomAffine(5, shear=90), "shear is 90; expected less than 90"),
        (lambda: RandomCrop(0), "size is 0; expected at least 1"),
        (lambda: RandomCrop(3, padding=(1, 2, 3)), "expected 1, 2 or 4 numbers"),
        (lambda: RandomCrop(3, padding_mode="edge"), "padding_mode is 'edge'"),
        (lambda: RandomErasing(scale=(0, 2)), "scale is .* expected shares"),
        (lambda: RandomErasing(value="red"), "value is 'red'; expected a number or 'random'"),
        (lambda: GaussianNoise(sigma=-1), "sigma is -1; expected a number from 0 up"),
        (lambda: Normalize([0], [0]), "std is .* expected numbers above 0"),
        (lambda: Normalize([0, 0], [1, 1])(np.zeros((2, 3, 4, 4))), "for each of 3 channels"),
        (lambda: RandomShift(1)(np.zeros((2, 3))), r"images have shape \(2, 3\); expected \(N, C"),
        (lambda: Pad(1, fill=300)(np.zeros((1, 2, 2), np.uint8)), "fill is 300.0 for images of"),
        (lambda: ColorJitter(contrast=(-1, 1)), "contrast is .* expected numbers from 0 up"),
    ],
)
def test_values_that_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomShift(1)(np.zeros((2, 3, 4), np.int64)), "images are int64; expected"),
        (lambda: RandomShift(1)([[1]]), "RandomShift: x is a list"),
        (lambda: Normalize([0], [1])(np.zeros((1, 2, 2), np.uint8)), "put ConvertImageDtype"),
        (lambda: ConvertImageDtype(np.int64), "dtype is int64"),
        (lambda: RandomErasing(1, value="random")(np.zeros((1, 2, 2), np.uint8)), "no bytes"),
        (lambda: Compose([3]), "Compose: 3 is not callable"),
        (lambda: Transform()(np.zeros((1, 2, 2))), "neither plan nor __call__"),
    ],
)
def test_types_that_are_refused(make, message):
    with pytest.raises((TypeError, NotImplementedError), match=message):
        make()


def test_text():
    assert repr(RandomHorizontalFlip(0.3)) == "RandomHorizontalFlip(p=0.3)"
    assert repr(Compose([RandomShift(1)])) == (
        "Compose(\n    RandomShift(pixels=(1, 1), fill=0.0)\n)"
    )


# ------------------------------------------------------------------ mixtures


@both_backends
def test_mixup(backend):
    fg.set_backend(backend)
    x, y = images(20, 2, 3), np.arange(20)
    mixed, (mine, others, share) = mixup(x, y, 0.4)
    expected = share * x + (1 - share) * x[others.data]
    np.testing.assert_allclose(mixed.data, expected, atol=1e-6)
    np.testing.assert_array_equal(mine.data, y)
    assert sorted(others.data) == list(range(20))
    assert 0 < share < 1


@both_backends
@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_cutmix(backend, dtype):
    fg.set_backend(backend)
    x = np.arange(1, 31, dtype=dtype).reshape(30, 1, 1, 1) * np.ones((1, 2, 8, 9), dtype)
    shares = []
    for _ in range(20):
        mixed, (mine, others, share) = cutmix(x, np.arange(1, 31))
        moved = np.flatnonzero(mine.data != others.data)
        for k in moved:
            cut = mixed.data[k] == others.data[k]
            assert (mixed.data[k][~cut] == mine.data[k]).all()
            assert abs(cut.mean() - (1 - share)) < 1e-12
        shares.append(share)
    assert len(set(shares)) > 10


def test_soft_targets_and_the_mixed_loss():
    x, y = images(12, 4, 4), np.arange(12) % 3
    for make in (MixUp, CutMix):
        fg.manual_seed(4)
        _, soft = make(num_classes=3)(x, y)
        fg.manual_seed(4)
        _, (mine, others, share) = make()(x, y)
        expected = share * np.eye(3)[mine.data] + (1 - share) * np.eye(3)[others.data]
        np.testing.assert_allclose(soft.data, expected, atol=1e-6)
        fg.manual_seed(4)
        np.testing.assert_allclose(make()(x, np.eye(3)[y])[1].data, expected)
        scores, loss = fg.tensor(images(12, 3)), fg.nn.CrossEntropyLoss()
        log_p = scores.log_softmax(1).numpy()
        value = mixed_loss(loss, scores, (mine, others, share))
        np.testing.assert_allclose(value.item(), -(expected * log_p).sum(1).mean(), rtol=1e-5)


def test_mixing_shares_come_from_a_beta_distribution():
    x, y, mix = np.zeros((2, 1)), np.zeros(2, np.int64), MixUp(alpha=0.5)
    shares = np.array([mix(x, y)[1][2] for _ in range(2000)])
    assert abs(shares.mean() - 0.5) < 5 * np.sqrt(1 / 8 / 2000)
    assert abs(shares.var() - 1 / 8) < 0.01  # of Beta(1/2, 1/2)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: MixUp(alpha=0), ValueError, "MixUp: alpha is 0; expected a number above 0"),
        (lambda: MixUp()(np.zeros(3, int), np.zeros(3)), TypeError, "x has dtype int64"),
        (lambda: MixUp()(np.zeros(3), np.zeros(2)), ValueError, "one target for each sample"),
        (lambda: CutMix()(np.zeros((3, 2)), np.zeros(3)), ValueError, "CutMix: x has shape"),
        (
            lambda: MixUp(num_classes=2)(np.zeros(3), np.array([0, 1, 2])),
            ValueError, "go from 0 to 2; expected",
        ),
    ],
)  # fmt: skip
def test_mixtures_that_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


# ------------------------------------------------------------------ in a loader


def _dataset(dtype=np.float32):
    return TensorDataset(images(23, 1, 12, 12, dtype=dtype), np.arange(23))


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_loader_changes_images_and_leaves_labels(shuffle):
    dataset = _dataset()
    flip = DataLoader(dataset, 5, shuffle, seed=2, transform=RandomHorizontalFlip(1))
    plain = DataLoader(dataset, 5, shuffle, seed=2)
    for (x, y), (x0, y0) in zip(flip, plain, strict=True):
        np.testing.assert_array_equal(y.data, y0.data)
        np.testing.assert_array_equal(x.data, x0.data[..., ::-1])


def test_a_loader_has_its_own_random_numbers():
    def epochs(loader, count=2):
        return [[x.data.tobytes() for x, _ in loader] for _ in range(count)]

    options = {"shuffle": True, "seed": 6, "transform": _CHAIN}
    loader = DataLoader(_dataset(), 8, **options)
    first = epochs(loader, 3)
    assert len({batch for epoch in first for batch in epoch}) == 9
    fg.manual_seed(123)
    assert epochs(DataLoader(_dataset(), 8, **options), 3) == first
    later = DataLoader(_dataset(), 8, **options)
    later.load_state_dict({"seed": 6, "epoch": 1})
    assert epochs(later) == first[1:]
    assert epochs(DataLoader(_dataset(), 8, **{**options, "seed": 7}), 3) != first


def test_images_are_read_from_whole_arrays_or_gathered_alike():
    dataset = _dataset()
    samples = [(x.copy(), y) for x, y in zip(*dataset.arrays, strict=True)]
    rows = np.arange(22, 1, -2)
    options = {"batch_size": 4, "shuffle": True, "seed": 1, "transform": _CHAIN}
    for fast, slow in (
        (dataset, samples),
        (Subset(dataset, rows), Subset(samples, rows)),
        (Subset(Subset(dataset, rows), [3, 1, 2]), Subset(Subset(samples, rows), [3, 1, 2])),
    ):
        for (x, y), (x0, y0) in zip(
            DataLoader(fast, **options), DataLoader(slow, **options), strict=True
        ):
            np.testing.assert_array_equal(x.data, x0.data)
            np.testing.assert_array_equal(y.data, y0.data)


def test_a_loader_mixes_and_applies_functions():
    loader = DataLoader(
        _dataset(), 10, seed=0, transform=lambda x: x * 2, batch_transform=MixUp(num_classes=23)
    )
    x, y = next(iter(loader))
    assert (x.shape, y.shape) == ((10, 1, 12, 12), (10, 23))
    assert x.data.max() > 1
    doubled = DataLoader(np.arange(6.0), 3, transform=lambda x: x * 2)
    assert [x.tolist() for x in doubled] == [[0, 2, 4], [6, 8, 10]]
    with pytest.raises(TypeError, match="DataLoader: transform is 3; expected a function"):
        DataLoader(_dataset(), transform=3)
