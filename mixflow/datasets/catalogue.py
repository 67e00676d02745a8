"""The catalogue: every data set mixflow knows, with checksums of the official files.

A checksum is that of the file as its publisher distributes it, unless `where` says that
the file is derived.
"""

from __future__ import annotations

from mixflow.datasets.registry import REGISTRY, Dataset, DatasetFile

UCI = "https://archive.ics.uci.edu"

# name, bytes, sha256
_MNIST_FILES = (
    (
        "train-images-idx3-ubyte.gz",
        9912422,
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ),
    (
        "train-labels-idx1-ubyte.gz",
        28881,
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ),
    (
        "t10k-images-idx3-ubyte.gz",
        1648877,
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    (
        "t10k-labels-idx1-ubyte.gz",
        4542,
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
)
_FASHION_FILES = (
    (
        "train-images-idx3-ubyte.gz",
        26421880,
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    ),
    (
        "train-labels-idx1-ubyte.gz",
        29515,
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    ),
    (
        "t10k-images-idx3-ubyte.gz",
        4422102,
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    ),
    (
        "t10k-labels-idx1-ubyte.gz",
        5148,
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
)


def _files(
    folder: str, rows: tuple[tuple[str, int, str], ...], *sources: str
) -> tuple[DatasetFile, ...]:
    """Return the files of one folder; each of `sources` is a prefix of the file's name."""
    return tuple(
        DatasetFile(f"{folder}/{name}", size, sha256, tuple(source + name for source in sources))
        for name, size, sha256 in rows
    )


_FILE_BASED = (
    Dataset(
        name="letter",
        kind="files",
        description="20000 capital letters A-Z, 16 integer features 0-15",
        shape=(16,),
        n_train=13333,
        n_test=6667,
        licence="CC BY 4.0",
        citation="D. Slate, Letter Recognition, UCI Machine Learning Repository (1991), "
        "https://doi.org/10.24432/C5ZP40",
        where=f"{UCI}/dataset/59/letter+recognition",
        files=_files(
            "letter",
            (
                (
                    "letter-recognition.data",
                    712565,
                    "2b89f3602cf768d3c8355267d2f13f2417809e101fc2b5ceee10db19a60de6e2",
                ),
            ),
            f"{UCI}/ml/machine-learning-databases/letter-recognition/",
            f"{UCI}/static/public/59/letter+recognition.zip#",
        ),
    ),
    Dataset(
        name="satimage",
        kind="files",
        description="Landsat: 4435 + 2000 pixels, 3x3 neighbourhoods in 4 bands, 6 soils",
        shape=(36,),
        n_train=4435,
        n_test=2000,
        licence="CC BY 4.0",
        citation="A. Srinivasan, Statlog (Landsat Satellite), UCI Machine Learning Repository "
        "(1993), https://doi.org/10.24432/C55887",
        where=f"{UCI}/dataset/146/statlog+landsat+satellite",
        files=_files(
            "satimage",
            (
                (
                    "sat.trn",
                    525830,
                    "e896dc88a960fa2404160fc4c3cb3dc53fcf4afd80ba920bf2d261bd42d12613",
                ),
                (
                    "sat.tst",
                    236745,
                    "4b9167b8a92baafafed7c8809aef86d0683a5e685c19d98d119fa6974f0f2479",
                ),
            ),
            f"{UCI}/ml/machine-learning-databases/statlog/satimage/",
            f"{UCI}/static/public/146/statlog+landsat+satellite.zip#",
        ),
    ),
    Dataset(
        name="mnist",
        kind="files",
        description="60000 + 10000 handwritten digits, 1x28x28 grey levels",
        shape=(1, 28, 28),
        n_train=60000,
        n_test=10000,
        licence="CC BY-SA 3.0",
        citation="Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-based learning applied to "
        "document recognition, Proc. IEEE 86 (1998), https://doi.org/10.1109/5.726791",
        where="http://yann.lecun.com/exdb/mnist/",
        # The mirror first: the official host has often refused downloads.
        files=_files(
            "mnist",
            _MNIST_FILES,
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "http://yann.lecun.com/exdb/mnist/",
        ),
    ),
    Dataset(
        name="fashion-mnist",
        kind="files",
        description="60000 + 10000 pieces of clothing in 10 classes, 1x28x28 grey levels",
        shape=(1, 28, 28),
        n_train=60000,
        n_test=10000,
        licence="MIT",
        citation="H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST (2017), "
        "https://arxiv.org/abs/1708.07747",
        where="https://github.com/zalandoresearch/fashion-mnist",
        files=_files(
            "fashion-mnist",
            _FASHION_FILES,
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        ),
    ),
    Dataset(
        name="norb",
        kind="files",
        description="small NORB: 24300 + 24300 stereo pairs of toys, 2x32x32, 5 classes",
        shape=(2, 32, 32),
        n_train=24300,
        n_test=24300,
        licence="research use only, may not be sold",
        citation="Y. LeCun, F. J. Huang, L. Bottou, Learning methods for generic object "
        "recognition with invariance to pose and lighting, CVPR (2004), "
        "https://doi.org/10.1109/CVPR.2004.1315150",
        where="derived: download the six smallnorb-5x...-{dat,cat,info}.mat.gz from "
        "https://cs.nyu.edu/~ylclab/data/norb-v1.0-small/ into one folder, then "
        "run mixflow.datasets.make_norb(folder). The registered file came from 8-bit "
        "JPEG copies, so one made from the official files has other bytes.",
        files=(
            DatasetFile(
                "norb/smallnorb-2x32x32.npz",
                39250790,
                "e0270ffae8cf2f348201958f52ebbfbdaa5a570d86614f6141edf4bfd427507e",
                rebuildable=True,
            ),
        ),
    ),
    Dataset(
        name="paintings",
        kind="files",
        description="two paintings by van Gogh, for style transfer",
        licence="public domain",
        citation="V. van Gogh, The Starry Night (1889) and Sunflowers (1888)",
        where="pages of the originals (copies there may have other bytes): "
        "https://commons.wikimedia.org/wiki/File:Van_Gogh_-_Starry_Night_-_Google_Art_Project.jpg "
        "and https://commons.wikimedia.org/wiki/File:Vincent_Willem_van_Gogh_127.jpg",
        files=_files(
            "paintings",
            (
                (
                    "starry_night.jpg",
                    613337,
                    "c31741a09141c2e2d07fc7aa6bdf135c369b804f9433e43fa3ceac19386d1ee6",
                ),
                (
                    "sunflowers.jpg",
                    286469,
                    "def28bf289aa27bd48a3a7c423f51393e9330e86ca1ea4a3c761649acae5bb83",
                ),
            ),
        ),
    ),
    Dataset(
        name="vgg",
        kind="files",
        description="VGG-19 weights, conv1_1 to conv3_4 only, for style transfer",
        licence="CC BY 4.0",
        citation="K. Simonyan, A. Zisserman, Very deep convolutional networks for large-scale "
        "image recognition (2014), https://arxiv.org/abs/1409.1556",
        where="derived: the first 8 convolutions of the Keras file "
        "https://storage.googleapis.com/tensorflow/keras-applications/vgg19/"
        "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5, kernels transposed to "
        "(out, in, h, w)",
        files=(
            DatasetFile(
                "vgg/vgg19_conv1_1-conv3_4.npz",
                8666976,
                "10c6f55cfa5d9c89159a16606b772e3714679fedc4060b1ef1454e72e8ce2214",
            ),
        ),
    ),
    Dataset(
        name="vgg19",
        kind="files",
        description="VGG-19 weights, all layers, 575 MB, for style transfer at the paper profile",
        licence="BSD 3-clause",
        citation="K. Simonyan, A. Zisserman, Very deep convolutional networks for large-scale "
        "image recognition (2014), https://arxiv.org/abs/1409.1556; trained by torchvision",
        where="https://huggingface.co/timm/vgg19.tv_in1k (torchvision's weights as safetensors)",
        files=_files(
            "vgg19",
            (
                (
                    "model.safetensors",
                    574672336,
                    "11aea017b543ff59233749d8f1cf544cda749378f5790d2fedab841fb86b7669",
                ),
            ),
            "https://huggingface.co/timm/vgg19.tv_in1k/resolve/"
            "128d4708565b3a414bcbb9bbad440b2fe37b9f18/",
        ),
    ),
)


def _generated(name: str, description: str, citation: str) -> Dataset:
    """Return the record of a two-dimensional set that is drawn from a seed."""
    return Dataset(
        name=name,
        kind="generated",
        description=description,
        licence="generated, MIT as mixflow itself",
        citation=citation,
        where=f"mixflow.datasets.{name}",
    )


_WITHOUT_FILES = (
    Dataset(
        name="digits",
        kind="embedded",
        description="1797 handwritten digits, 8x8 pixels with values 0-16",
        shape=(1, 8, 8),
        n_train=1198,
        n_test=599,
        licence="CC BY 4.0",
        citation="E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine "
        "Learning Repository (1998), https://doi.org/10.24432/C50P49",
        where="shipped with scikit-learn",
    ),
    _generated(
        "pinwheel",
        "curved wings around the origin, 2 features",
        "M. J. Johnson et al., Composing graphical models with neural networks for structured "
        "representations and fast inference, NeurIPS (2016), https://arxiv.org/abs/1603.06277",
    ),
    _generated(
        "circles",
        "concentric rings with radial noise, 2 features",
        "G. Pires, M. A. T. Figueiredo, Variational mixture of normalizing flows (2020), "
        "https://arxiv.org/abs/2009.00585",
    ),
    _generated("moons", "two interleaved half circles, 2 features", "folklore"),
    _generated("spirals", "interleaved spiral arms, 2 features", "folklore"),
)

REGISTRY.update({item.name: item for item in (*_FILE_BASED, *_WITHOUT_FILES)})
