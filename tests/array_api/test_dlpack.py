"""Memory shared with other libraries by DLPack, without copies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn

DTYPES = ["bool", "int8", "int64", "uint16", "float16", "float32", "float64", "complex64", "complex128"]


def address(array: Any) -> int:
    """Where the first element of a tensor or array lies."""
    return int(np.asarray(array).ctypes.data)


def aligned(count: int, dtype: Any) -> Any:
    """Ones whose first element lies at a multiple of 64 bytes, as JAX asks for."""
    raw = np.zeros(count * np.dtype(dtype).itemsize + 64, np.uint8)
    start = -raw.ctypes.data % 64
    found = raw[start : start + count * np.dtype(dtype).itemsize].view(dtype)
    found[...] = 1
    return found


@pytest.mark.parametrize("dtype", DTYPES)
def test_numpy_both_ways(dtype: str) -> None:
    t = tn.asarray(np.ones((2, 3), dtype).T)
    array = np.from_dlpack(t)
    assert (address(array), array.strides, array.dtype) == (address(t.data), t.data.strides, t.dtype)
    back = tn.from_dlpack(array)
    assert type(back) is tn.Tensor
    assert (address(back.data), back.dtype, back.shape) == (address(array), t.dtype, (3, 2))
    back[0, 0] = 0  # another array comes behind the handle
    assert t.data.all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_both_ways(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    t = tn.asarray(np.ones((2, 3), dtype))
    theirs = torch.from_dlpack(t)
    assert (theirs.data_ptr(), tuple(theirs.shape), str(theirs.dtype)) == (address(t.data), (2, 3), f"torch.{dtype}")
    theirs[1, 2] = 0
    assert t.tolist()[1][2] == 0
    back = tn.from_dlpack(theirs)
    assert address(back.data) == theirs.data_ptr()
    assert back.dtype == dtype
    copied = tn.from_dlpack(theirs, copy=True)
    assert address(copied.data) != theirs.data_ptr()
    np.testing.assert_array_equal(copied.data, t.data)


@pytest.mark.parametrize("dtype", DTYPES)
def test_jax_both_ways(dtype: str) -> None:
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        t = tn.asarray(aligned(6, dtype).reshape(2, 3))
        theirs = jax.dlpack.from_dlpack(t)
        assert theirs.unsafe_buffer_pointer() == address(t.data)
        assert (theirs.shape, str(theirs.dtype)) == ((2, 3), dtype)
        back = tn.from_dlpack(theirs)
        assert address(back.data) == theirs.unsafe_buffer_pointer()
        assert back.dtype == dtype
        assert (back + 1).tolist() == (t + 1).tolist()


def test_gradients_do_not_leave_in_silence() -> None:
    x = tn.tensor([1.0], requires_grad=True)
    for t in (x, x * 2):
        with pytest.raises(BufferError, match=r"needs a gradient .* t\.detach\(\)"):
            np.from_dlpack(t)
        assert np.from_dlpack(t.detach()).shape == (1,)


def test_a_captured_tensor_is_not_given_away() -> None:
    step = tn.compile(lambda x: tn.asarray(np.from_dlpack(x)) + x)
    with pytest.raises(tn.CaptureError, match="DLPack"):
        step(tn.tensor([1.0]))


def test_what_is_read_only_stays_so() -> None:
    t = tn.broadcast_to(tn.tensor(1.0), (3,))
    array = np.from_dlpack(t)
    assert not array.flags.writeable
    assert not tn.from_dlpack(t).data.flags.writeable


def test_devices_and_versions() -> None:
    t = tn.tensor([1.0])
    assert t.__dlpack_device__() == (1, 0)  # the CPU
    assert t.__dlpack__(max_version=(1, 0), dl_device=(1, 0), copy=True) is not None
    with pytest.raises((BufferError, ValueError)):  # a ValueError before NumPy 2.4
        t.__dlpack__(dl_device=(2, 0))
    with pytest.raises(ValueError, match="from_dlpack: device='cuda'"):
        tn.from_dlpack(t, device="cuda")
    assert tn.from_dlpack(t, device="cpu").data.shape == (1,)


def test_memory_of_another_device() -> None:
    """As of an array of CuPy."""

    class Elsewhere:
        def __dlpack_device__(self) -> tuple[int, int]:
            return 2, 0

        def __dlpack__(self, *, stream: None = None, **options: object) -> Any:
            if options.get("dl_device") == (1, 0):
                return np.array([7.0]).__dlpack__(max_version=(1, 0))
            raise BufferError("on a GPU")

    with pytest.raises(BufferError, match="on a GPU"):
        tn.from_dlpack(Elsewhere())
    assert tn.from_dlpack(Elsewhere(), device="cpu").tolist() == [7.0]
