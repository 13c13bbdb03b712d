"""California housing: 20,640 districts and what houses cost there."""

import os

import numpy as np

from tapenet.data.archives import GET_AGAIN, malformed, tar_members, unpacked
from tapenet.data.download import File, Source, find
from tapenet.data.tables import Table, table

_MEMBER = "CaliforniaHousing/cal_housing.data"
_LARGEST = 1 << 22  # bytes of the member: it has about half as many

CALIFORNIA_HOUSING = Source(
    title="California housing",
    function="california_housing",
    # SHA-256: scikit-learn, sklearn/datasets/_california_housing.py, whose developers keep the file at this address. Its length
    # is stated nowhere: the bound is ours.
    files=(
        File(
            "cal_housing.tgz",
            1 << 20,
            ("sha256:aaa5c9a6afe2225cc2aed2723682ae403280c4a3695a2ddda4ffb5d8215ea681",),
            remote="5976036",
        ),
    ),
    mirrors=("https://ndownloader.figshare.com/files/",),
    instead="use tapenet.data.iris(), which needs no files",
    bare=True,
)

_ROWS = 20_640


def california_housing(folder: str | os.PathLike[str] | None = None, download: bool = True) -> Table:
    """California housing: eight numbers on each of 20,640 districts in 1990, and the median value of a house there.

    From the US census of 1990, put together by Pace and Barry (Sparse Spatial Autoregressions, 1997), from StatLib, which
    states no licence. Features and target are named and computed as scikit-learn does: rooms, bedrooms and people are per
    household, the target `MedHouseVal` is in 100,000 dollars.

    Looks for the archive `cal_housing.tgz` where `mnist` looks, with a subfolder `california_housing`, and downloads it
    (0.4 MB) into the cache if it is not there.

    Raises FileNotFoundError, ConnectionError and ValueError as `mnist` does.

    >>> houses = california_housing()  # doctest: +SKIP
    >>> train, test = houses.split(test=0.2, seed=0)  # doctest: +SKIP
    >>> california_housing("nowhere")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    FileNotFoundError: California housing is not whole in nowhere (cal_housing.tgz missing)...
    """
    (path,) = find(CALIFORNIA_HOUSING, folder, download).values()
    with open(path, "rb") as file, unpacked(file, path, GET_AGAIN) as stream:
        data = tar_members(stream, {_MEMBER: _LARGEST}, path, GET_AGAIN)[_MEMBER]
    try:
        numbers = np.array([line.split(",") for line in data.decode("ascii").split()], np.float64)
    except ValueError as error:
        raise malformed(path, f"lines of numbers in {_MEMBER}", f"something else ({error})", GET_AGAIN) from None
    if numbers.shape != (_ROWS, 9) or not (numbers[:, 6] > 0).all() or not np.isfinite(numbers).all():
        expected = f"{_ROWS:,} lines of 9 numbers in {_MEMBER}, all finite and households above 0"
        raise malformed(path, expected, f"an array of shape {numbers.shape}", GET_AGAIN)
    longitude, latitude, age, rooms, bedrooms, people, households, income, value = numbers.T
    columns = {
        "MedInc": income,
        "HouseAge": age,
        "AveRooms": rooms / households,
        "AveBedrms": bedrooms / households,
        "Population": people,
        "AveOccup": people / households,
        "Latitude": latitude,
        "Longitude": longitude,
        "MedHouseVal": value / 100_000,
    }
    return table(columns, target="MedHouseVal")
