"""Tiny Shakespeare: a million characters to learn a language from."""

import os

from tapenet.data.archives import GET_AGAIN, malformed
from tapenet.data.download import File, Source, find

TINY_SHAKESPEARE = Source(
    title="Tiny Shakespeare",
    function="tiny_shakespeare",
    # The publisher's page gives no checksum. Length and SHA-256: TensorFlow Datasets,
    # tensorflow_datasets/url_checksums/tiny_shakespeare.txt; the file in the publisher's repository,
    # github.com/karpathy/char-rnn at 6f9487a, has them.
    files=(File("input.txt", 1_115_394, ("sha256:86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",)),),
    mirrors=("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/",),
    instead="read a text of your own with open(path).read()",
)


def tiny_shakespeare(folder: str | os.PathLike[str] | None = None, download: bool = True) -> str:
    """Tiny Shakespeare: 40,000 lines of Shakespeare's plays in one text of 1,115,394 characters, 65 different ones.

    Put together by Andrej Karpathy (MIT licence; the plays are in the public domain). The usual split is 90 % to train on and
    the rest to test with.

    Looks for the file `input.txt` where `mnist` looks, with a subfolder `tiny_shakespeare` (and not in `$TAPENET_DATA`
    itself), and downloads it (1.1 MB) into the cache if it is not there.

    Raises FileNotFoundError and ConnectionError as `mnist` does, and ValueError, naming the file, if it is empty, no UTF-8
    text, or longer than the published one.

    >>> text = tiny_shakespeare()  # doctest: +SKIP
    >>> characters = sorted(set(text))  # doctest: +SKIP
    >>> tiny_shakespeare("nowhere")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    FileNotFoundError: Tiny Shakespeare is not whole in nowhere (input.txt missing)...
    """
    (path,) = find(TINY_SHAKESPEARE, folder, download).values()
    largest = TINY_SHAKESPEARE.files[0].largest
    with open(path, "rb") as file:
        data = file.read(largest + 1)
    if not 0 < len(data) <= largest:
        found = "more" if data else "an empty file"
        raise malformed(path, f"a text of at most {largest:,} bytes", found, GET_AGAIN)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        found = f"byte {data[error.start]:#04x} at position {error.start:,}"
        raise malformed(path, "UTF-8 text", found, GET_AGAIN) from None
