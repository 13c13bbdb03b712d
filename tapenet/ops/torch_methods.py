"""What to write on a tensor here in place of the methods that PyTorch's tensors and JAX's arrays have."""

from __future__ import annotations

import numpy as np

from tapenet import ops

_AS = "t.astype({})"
#: By name, where it is not that of a function of `tn` or `np.linalg`.
_INSTEAD = {
    # shapes
    "unsqueeze": "np.expand_dims(t, axis), or t[:, None]",
    "view": "t.reshape(shape); for another dtype t.astype(dtype)",
    "view_as": "t.reshape(other.shape)",
    "reshape_as": "t.reshape(other.shape)",
    "permute": "t.transpose(axes)",
    "t": "t.T",
    "H": "np.conj(t.T)",
    "mH": "np.conj(t.mT)",
    "adjoint": "np.conj(t.mT)",
    "movedim": "np.moveaxis(t, source, destination)",
    "swapdims": "t.swapaxes(axis1, axis2)",
    "expand": "np.broadcast_to(t, shape)",
    "expand_as": "np.broadcast_to(t, other.shape)",
    "unflatten": "t.reshape(shape)",
    "unbind": "tn.unstack(t)",
    "chunk": "np.array_split(t, sections)",
    "tensor_split": "np.array_split(t, sections)",
    "split_with_sizes": "np.split(t, places)",
    "repeat_interleave": "t.repeat(repeats)",
    "narrow": "t[start:stop]",
    "dim": "t.ndim",
    "ndimension": "t.ndim",
    "numel": "t.size",
    "nelement": "t.size",
    "element_size": "t.itemsize",
    "stride": "t.numpy().strides",
    "contiguous": "t as it is: in what order its elements lie in memory makes no difference to what is computed",
    "is_contiguous": "t.numpy().flags",
    # arithmetic and comparisons
    "mul": "t * other",
    "sub": "t - other",
    "div": "t / other",
    "neg": "-t",
    "mm": "t @ other",
    "bmm": "t @ other",
    "mv": "t @ other",
    "ger": "np.outer(t, other)",
    "addmm": "t + a @ b",
    "addcmul": "t + value * a * b",
    "addcdiv": "t + value * a / b",
    "eq": "t == other",
    "ne": "t != other",
    "lt": "t < other",
    "le": "t <= other",
    "gt": "t > other",
    "ge": "t >= other",
    "clamp": "np.clip(t, low, high)",
    "clamp_min": "np.maximum(t, low)",
    "clamp_max": "np.minimum(t, high)",
    "rsqrt": "1 / np.sqrt(t)",
    "frac": "np.modf(t)[0]",
    "sgn": "np.sign(t)",
    "lerp": "t + weight * (end - t)",
    "logit": "np.log(t / (1 - t))",
    "erfc": "1 - tn.erf(t)",
    "cummax": "tn.cumulative_max(t)",
    "cummin": "tn.cumulative_min(t)",
    "aminmax": "t.min() and t.max()",
    "ptp": "np.ptp(t)",
    "logdet": "np.linalg.slogdet(t)",
    "inverse": "np.linalg.inv(t)",
    "pinverse": "np.linalg.pinv(t)",
    "dist": "np.linalg.norm(t - other)",
    # selecting
    "masked_fill": "np.where(mask, value, t)",
    "masked_select": "t[mask]",
    "gather": "np.take_along_axis(t, indices, axis)",
    "take_along_dim": "np.take_along_axis(t, indices, axis)",
    "index_select": "np.take(t, indices, axis)",
    "index": "t[indices]",
    "index_put": "t[indices] = values, on a copy",
    "index_copy": "t[indices] = values, on a copy",
    "index_fill": "t[indices] = value, on a copy",
    "scatter": "np.put_along_axis(t, indices, values, axis), on a copy",
    "at": "t[i] = v on a copy, or np.add.at(t, i, v)",
    "topk": "np.sort(t)[..., -k:]",
    "kthvalue": "np.partition(t, k)",
    "msort": "np.sort(t, 0)",
    # dtypes and places
    "float": _AS.format("np.float32"),
    "double": _AS.format("np.float64"),
    "half": _AS.format("np.float16"),
    "bfloat16": _AS.format('"bfloat16"'),
    "int": _AS.format("np.int32"),
    "long": _AS.format("np.int64"),
    "short": _AS.format("np.int16"),
    "char": _AS.format("np.int8"),
    "byte": _AS.format("np.uint8"),
    "bool": _AS.format("bool"),
    "cfloat": _AS.format("np.complex64"),
    "cdouble": _AS.format("np.complex128"),
    "type": _AS.format("dtype"),
    "type_as": _AS.format("other.dtype"),
    "to": "t.astype(dtype); there is one device, the CPU",
    "cpu": "t as it is: there is one device, the CPU",
    "cuda": "t as it is: there is one device, the CPU",
    "is_cuda": "t.device",
    "is_floating_point": "t.dtype.kind",
    "is_complex": "np.iscomplexobj(t)",
    "block_until_ready": "t as it is: its values are there at once",
    # copies, gradients and others
    "clone": "t.copy()",
    "new_zeros": "tn.zeros(shape, t.dtype)",
    "new_ones": "tn.ones(shape, t.dtype)",
    "new_full": "tn.full(shape, value, t.dtype)",
    "new_tensor": "tn.tensor(data, t.dtype)",
    "grad_fn": "t.node",
    "retains_grad": "t.retain_grad()",
    "register_post_accumulate_grad_hook": "t.register_hook(hook)",
    "storage": "t.data",
    "untyped_storage": "t.data",
    "data_ptr": "t.numpy().ctypes.data",
    "multinomial": "np.random.default_rng().choice(t.size, p=t.numpy())",
    "bernoulli": "tn.random.bernoulli(t)",
    "histc": "np.histogram(t.numpy())",
}
#: Of those that change a tensor in place; of others it is what is written for the name without the underscore.
_IN_PLACE = {
    "zero_": "t.fill(0)",
    "fill_": "t.fill(value)",
    "copy_": "t[...] = other, or t.data = other",
    "add_": "t += other",
    "sub_": "t -= other",
    "mul_": "t *= other",
    "div_": "t /= other",
    "pow_": "t **= other",
    "normal_": "t.data = tn.random.normal(size=t.shape), or an initialiser of tn.nn.init",
    "uniform_": "t.data = tn.random.uniform(size=t.shape), or an initialiser of tn.nn.init",
    "detach_": "t = t.detach()",
    "put_": "t.put(indices, values)",
    "index_add_": "np.add.at(t, indices, values)",
    "scatter_add_": "np.add.at(t, indices, values)",
    "masked_fill_": "t[mask] = value",
    "fill_diagonal_": "np.fill_diagonal(t, value)",
}
#: Of these the result has another shape, and does not fit into the tensor.
_OTHER_SHAPE = ("squeeze", "swapaxes", "swapdims", "t", "transpose", "unsqueeze")


def instead(name: str) -> str:
    """What to write in place of `t.name(...)`; "" if nothing is known.

    >>> instead("unsqueeze"), instead("sigmoid"), instead("exp_")
    ('np.expand_dims(t, axis), or t[:, None]', 'tn.sigmoid(t)', 't[...] = tn.exp(t)')
    """
    if name.startswith("_"):
        return ""
    if name.endswith("_"):
        plain = name.rstrip("_")
        made = f"t.{plain}(...)" if hasattr(np.ndarray, plain) else instead(plain)
        return _IN_PLACE.get(name) or (made and f"t{'' if plain in _OTHER_SHAPE else '[...]'} = {made}")
    found = _INSTEAD.get(name, "")
    if not found and callable(getattr(ops, name, None)) and not hasattr(np.ndarray, name):
        found = f"tn.{name}(t)"
    if not found and callable(getattr(np.linalg, name, None)):
        found = f"np.linalg.{name}(t)"
    return found
