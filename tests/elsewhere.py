"""`Elsewhere`: a stand-in for CuPy's array, which lies where NumPy cannot read it.

It answers NumPy's two protocols and has the attributes and methods of an array. As with CuPy, numbers may stand beside
it and NumPy's arrays of integers and booleans may be its indices, but it does not mix with other arrays, it does not
become one unless asked by `get`, and each number of it is an array of shape (). Every attempt is counted. What the
functions of CuPy 14 do not take, it refuses too.

With TINYGRAD_EDU_ARRAYS=cupy in the environment the tests run on CuPy's arrays themselves, as `python demos/gpu.py`
does where there is a GPU.
"""

import os
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from numpy.lib.mixins import NDArrayOperatorsMixin

ATTEMPTS = []  # at reading the numbers
BROUGHT_HOME = []  # the shapes of arrays that were asked for
SCALARS = (int, float, bool, np.generic)


class Elsewhere(NDArrayOperatorsMixin):
    """An array of numbers that only NumPy's protocols reach."""

    def __init__(self, values):
        self._hidden = np.asarray(values)
        self.base = self if self._hidden.base is not None else None  # whether the memory is another array's
        flags = self._hidden.flags
        self.flags = SimpleNamespace(c_contiguous=flags.c_contiguous, f_contiguous=flags.f_contiguous)

    def get(self):
        """The values, as an array of NumPy's: what a program asks for by name."""
        BROUGHT_HOME.append(self.shape)
        return self._hidden.copy()

    def _refuse(self, *args, **kwargs):
        ATTEMPTS.append("read")
        raise TypeError("Implicit conversion to a NumPy array is not allowed; ask for it with get()")

    __array__ = __array_interface__ = property(_refuse)

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **kwargs):
        if any(isinstance(x, np.ndarray) for x in (*inputs, *out)):
            raise TypeError("Unsupported type <class 'numpy.ndarray'>")
        if not all(isinstance(x, (Elsewhere, *SCALARS)) for x in (*inputs, *out)):
            return NotImplemented
        if method != "__call__":
            return NotImplemented
        if out:
            kwargs["out"] = tuple([x._hidden for x in out])
        result = getattr(ufunc, method)(*map(unwrapped, inputs), **{k: unwrapped(x) for k, x in kwargs.items()})
        return out[0] if out else wrapped(result)

    def __array_function__(self, func, types, args, kwargs):
        if func.__name__ in LACKING:
            return NotImplemented
        check_call(func.__name__, args, kwargs)
        if not all(issubclass(kind, (Elsewhere, np.ndarray)) for kind in types):
            return NotImplemented
        if any(isinstance(x, np.ndarray) for x in leaves([*args, *kwargs.values()])) and func not in CREATING:
            raise TypeError(f"{func.__name__}: Unsupported type <class 'numpy.ndarray'>")
        return wrapped(func(*map(unwrapped, args), **{k: unwrapped(x) for k, x in kwargs.items()}))

    def __getitem__(self, index):
        return wrapped(self._hidden[unwrapped(index)])

    def __setitem__(self, index, value):
        if isinstance(value, np.ndarray):
            raise TypeError("Unsupported type <class 'numpy.ndarray'>")
        self._hidden[unwrapped(index)] = unwrapped(value)

    def __iter__(self):
        return map(wrapped, self._hidden)

    def __len__(self):
        return len(self._hidden)

    def __bool__(self):
        return bool(self._hidden)

    def __int__(self):
        return int(self._hidden)

    def __float__(self):
        return float(self._hidden)

    def __repr__(self):
        return f"Elsewhere({self._hidden!r})"

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        found = getattr(self._hidden, name)
        if not callable(found):
            return wrapped(found) if isinstance(found, np.ndarray) else found

        def method(*args, **kwargs):
            check_call(name, (self, *args), kwargs)
            if any(isinstance(x, np.ndarray) for x in leaves([*args, *kwargs.values()])):
                raise TypeError(f"{name}: Unsupported type <class 'numpy.ndarray'>")
            out = found(*map(unwrapped, args), **{k: unwrapped(x) for k, x in kwargs.items()})
            return out if name in ("item", "tolist") else wrapped(out)

        return method


LACKING = {"geomspace", "insert", "svdvals", "vecdot"}  # what CuPy 14 has not, as far as NumPy's callers may want it
UNKNOWN = {  # keyword arguments of NumPy's that CuPy's functions and methods do not take
    "cholesky": {"upper"},
    "eye": {"device"},
    "full": {"device"},
    "max": {"initial", "where"},
    "min": {"initial", "where"},
    "ones": {"device"},
    "partition": {"kind"},
    "pinv": {"hermitian", "rtol"},
    "prod": {"initial", "where"},
    "sum": {"initial", "where"},
    "take": {"mode"},
}
MOST = {"item": 1, "partition": 3, "pinv": 2}  # arguments by place, that it is called on included
REDUCTIONS = {"all", "any", "cumprod", "cumsum", "max", "min", "prod", "sum"}


def check_call(name, args, kwargs):
    """Refuses what CuPy's function or method of that name does not take."""
    if UNKNOWN.get(name, set()) & kwargs.keys() or len(args) > MOST.get(name, 99):
        raise TypeError(f"{name}() got an unexpected argument: {args}, {kwargs}")
    if name == "astype" and np.dtype(args[1]) == np.longdouble:
        raise ValueError("Unsupported dtype float128")
    if name in ("sort", "argsort") and (*args[2:], kwargs.get("kind"))[0] not in (None, "stable"):
        raise ValueError("kind can only be None or 'stable'")
    if name == "sliding_window_view" and kwargs.get("writeable"):
        raise NotImplementedError("Writeable views are not supported.")
    if name == "where" and not isinstance(args[0], Elsewhere):
        raise AttributeError(f"{type(args[0]).__name__!r} object has no attribute 'astype'")
    if name in REDUCTIONS and args[0].shape == () and (*args[1:], kwargs.get("axis"))[0] not in (None, ()):
        raise np.exceptions.AxisError("axis is out of bounds for array of dimension 0")
    if name == "solve" and args[1].ndim > 1 and args[0].shape[:-1] != args[1].shape[:-1]:
        raise ValueError("a must have (..., M, M) shape and b must have (..., M, K) for multidimensional b")
    if name == "interp" and not all(x.flags.c_contiguous for x in args):
        raise NotImplementedError("Non-C-contiguous x is currently not supported")


CREATING = {np.array, np.asarray, np.asanyarray, np.ascontiguousarray}  # called with like=


def unwrapped(x):
    """What hides in an argument, also in lists and tuples."""
    if type(x) is list or type(x) is tuple:
        return type(x)([unwrapped(y) for y in x])
    if isinstance(x, tuple):
        return type(x)(*map(unwrapped, x))
    return x._hidden if isinstance(x, Elsewhere) else x


def wrapped(x):
    """A result, hidden: arrays and, as CuPy has no other, single numbers of a dtype."""
    if type(x) is list or type(x) is tuple:
        return type(x)(map(wrapped, x))
    if isinstance(x, tuple):  # named, as of svd; CuPy's are not
        return tuple(map(wrapped, x))
    if not isinstance(x, (np.ndarray, np.generic)):
        return x
    return Elsewhere(np.asarray(x))


def leaves(values):
    """What lists and tuples hold, all the way down."""
    for x in values:
        if isinstance(x, (list, tuple)):
            yield from leaves(x)
        else:
            yield x


HERE = ("index", "indices", "obj", "pad_width", "shape", "axes")  # arguments whose numbers NumPy has to know
if os.environ.get("TINYGRAD_EDU_ARRAYS") == "cupy":
    import cupy as PLACE

    KIND = PLACE.ndarray
else:
    PLACE, KIND = ModuleType("elsewhere_library"), Elsewhere
    PLACE.asarray = lambda x: x if isinstance(x, Elsewhere) else Elsewhere(np.array(x))
LIBRARY = KIND.__module__.partition(".")[0]


@pytest.fixture(autouse=True)
def nothing_is_converted():
    """Fails a test in which something tried to read the numbers, also where that was caught."""
    ATTEMPTS.clear()
    BROUGHT_HOME.clear()
    yield
    assert ATTEMPTS == []


def numbers(x):
    """The values, for a test."""
    return x._hidden if isinstance(x, Elsewhere) else x.get()


def there(x, name=""):
    """An argument with each array of numbers in it elsewhere."""
    if type(x) in (list, tuple):
        return type(x)([there(y) for y in x])
    if isinstance(x, dict):
        return {k: there(y, k) for k, y in x.items()}
    return PLACE.asarray(x) if isinstance(x, np.ndarray) and x.dtype.kind in "biuf" and name not in HERE else x
