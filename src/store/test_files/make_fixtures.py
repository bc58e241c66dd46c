"""Writes the fixtures of safetensors_test.cpp with the reference implementation.

python3 -m venv venv && venv/bin/pip install safetensors==0.8.0 numpy==2.4.6
venv/bin/python src/store/test_files/make_fixtures.py src/store/test_files
"""

import sys

import numpy as np
from safetensors import TensorSpec, serialize

REAL = [1.5, -2.0, 0.0, 65504.0, -0.000060975551605224609375, float("inf")]
HALF = np.array(REAL, dtype=np.float16)  # the fifth is a subnormal number
BRAIN = np.array([0x3FC0, 0xC000, 0x0001, 0xFF80], dtype=np.uint16)  # 1.5, -2, 2^-133, -inf


kept = []  # TensorSpec holds addresses only


def entry(dtype, array):
    array = np.ascontiguousarray(array).reshape(np.shape(array))
    kept.append(array)
    return TensorSpec(dtype=dtype, shape=list(array.shape), data_ptr=array.ctypes.data, data_len=array.nbytes)


tensors = {
    "matrix": entry("float32", np.arange(6, dtype=np.float32).reshape(2, 3) / 4),
    "scalar": entry("float32", np.array(-7.25, dtype=np.float32)),
    "empty": entry("float32", np.zeros((0, 4), dtype=np.float32)),
    "double": entry("float64", np.array([1 / 3, -1e300])),
    "half": entry("float16", HALF),
    "brain": entry("bfloat16", BRAIN),
    "int64": entry("int64", np.array([-(2**62), 5], dtype=np.int64)),
    "int32": entry("int32", np.array([[-1], [2]], dtype=np.int32)),
    "uint8": entry("uint8", np.array([0, 255, 7], dtype=np.uint8)),
    "boolean": entry("bool", np.array([True, False])),
    'a "quoted" näme\t': entry("uint8", np.array([42], dtype=np.uint8)),
}

folder = sys.argv[1]
with open(f"{folder}/reference.safetensors", "wb") as file:
    file.write(serialize(tensors, metadata={"made by": "make_fixtures.py"}))
with open(f"{folder}/one_tensor.safetensors", "wb") as file:
    file.write(serialize({"x": tensors["matrix"]}))
