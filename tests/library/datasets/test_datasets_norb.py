import gzip

import numpy as np
import pytest

from mixflow.datasets import DatasetError, load_norb, make_norb, norb, verify

N_PAIRS = 10


def official(values, magic):
    header = [magic, values.ndim, *values.shape, *[1] * (3 - values.ndim)]
    return np.array(header, "<u4").tobytes() + values.tobytes()


@pytest.fixture
def small():
    return np.random.default_rng(0).integers(0, 256, (2, N_PAIRS, 2, 32, 32), dtype=np.uint8)


@pytest.fixture
def source(tmp_path, monkeypatch, small):
    """Write official files of ten pairs, each small image enlarged threefold."""
    monkeypatch.setattr(norb, "_N_PAIRS", N_PAIRS)
    monkeypatch.setattr(norb, "_CHUNK", 4)
    folder = tmp_path / "official"
    folder.mkdir()
    info = np.arange(4 * N_PAIRS, dtype="<i4").reshape(N_PAIRS, 4)
    for x, prefix in zip(small, norb._PREFIXES.values(), strict=True):
        large = x.repeat(3, axis=-1).repeat(3, axis=-2)
        parts = {
            "dat": official(large, norb._BYTE_MAGIC),
            "cat": official(np.arange(N_PAIRS, dtype="<i4") % 5, norb._INT_MAGIC),
            "info": official(info, norb._INT_MAGIC),
        }
        for kind, content in parts.items():
            (folder / f"{prefix}-{kind}.mat.gz").write_bytes(gzip.compress(content, 1))
    return folder


def test_made_file_is_found_verified_and_loaded(source, folders, small):
    path = make_norb(source)
    assert path == folders["cache"] / "norb/smallnorb-2x32x32.npz"
    assert verify("norb")[0].status == "ok"
    split = load_norb()
    assert np.array_equal(split.x_train, small[0])
    assert np.array_equal(split.x_test, small[1])
    assert split.y_test.tolist() == [0, 1, 2, 3, 4] * 2
    with np.load(path) as arrays:
        assert arrays["instance_train"].tolist() == list(range(0, 4 * N_PAIRS, 4))
    assert sorted(item.name for item in path.parent.iterdir()) == [path.name, path.name + ".sha256"]
    path.write_bytes(path.read_bytes()[:-1])
    assert verify("norb")[0].status == "corrupt"


def test_block_mean_is_rounded_to_nearest(source, tmp_path):
    x = np.zeros((N_PAIRS, 2, 96, 96), np.uint8)
    x[:, :, 0, :3] = [1, 2, 1]  # mean 4/9, down
    x[:, :, 3, :3] = [2, 2, 1]  # mean 5/9, up
    file = source / f"{norb._PREFIXES['train']}-dat.mat.gz"
    file.write_bytes(gzip.compress(official(x, norb._BYTE_MAGIC)))
    with np.load(make_norb(source, tmp_path / "new" / "norb.npz")) as arrays:
        assert arrays["x_train"][0, 0, :2, 0].tolist() == [0, 1]


def test_absent_files_are_named(source, tmp_path):
    (source / f"{norb._PREFIXES['test']}-info.mat.gz").unlink()
    with pytest.raises(DatasetError, match="lacks\n  smallnorb-.*-testing-info.mat.gz\nDownload"):
        make_norb(source, tmp_path / "norb.npz")


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("dat", lambda content: gzip.compress(content[:-1]), "ends 1 bytes early"),
        ("cat", lambda content: gzip.compress(content + b"\0"), "more values"),
        ("info", lambda content: gzip.compress(b"\0" + content), "expected the header"),
        ("cat", lambda content: gzip.compress(b""), "found nothing"),
        ("dat", lambda content: gzip.compress(content)[:-20], "truncated or damaged gzip"),
        ("dat", lambda content: content, "truncated or damaged gzip"),
    ],
)
def test_wrong_files_leave_nothing(source, tmp_path, kind, change, message):
    file = source / f"{norb._PREFIXES['test']}-{kind}.mat.gz"
    file.write_bytes(change(gzip.decompress(file.read_bytes())))
    out = tmp_path / "out" / "norb.npz"
    with pytest.raises(DatasetError, match=message):
        make_norb(source, out)
    assert not out.parent.exists()
