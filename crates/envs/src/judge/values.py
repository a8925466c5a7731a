"""Values as JSON: they travel between processes by what they are, and reading them runs no code of whoever wrote them.

A scalar is itself; anything else is a list of its kind and its parts.
"""
import ast, builtins, collections, contextlib, datetime, decimal, enum, fractions, importlib, io, itertools, json
import random, sys

# Values that may travel at a time. 64 characters or bits count as one.
ROOM = 1 << 17
# Items of an iterator, which may have no end.
ITEMS = 10_000
# Builtins, besides the classes that may travel.
FUNCTIONS = set(
    "abs all any ascii bin callable chr divmod hash hex isinstance issubclass iter len max min next oct ord pow repr "
    "round sorted sum Ellipsis NotImplemented".split()
)
# Arguments that a call can change.
CHANGEABLE = (list, bytearray, dict, set, collections.deque)


class Unsupported(Exception):
    """A value that can't travel, or more than there is room for."""

    # Messages show its bare name.
    __module__ = "builtins"


class Stranger:
    """A value of a class that only the other process knows. It equals nothing."""


class Function:
    """A function that lives in the other process, under its name or as the result of a call."""

    def __init__(self, callee, ask):
        self.callee, self.ask = callee, ask

    def __call__(self, *args, **kwargs):
        return self.ask(self.callee, args, kwargs)


class Made:
    """An object of a class that only the other process has: how it was made, and what was set on it since."""

    def __init__(self, *args, **kwargs):
        self.__dict__["made"] = args, kwargs


class Writer:
    """Writes values. One that can't be written is an error, or a stranger if `lenient`."""

    def __init__(self, scope, lenient):
        self.scope, self.lenient, self.left = scope, lenient, ROOM

    def take(self, count):
        self.left -= count
        if self.left < 0:
            raise Unsupported("more than %d values" % ROOM)

    def all(self, values):
        return [self.write(value) for value in values]

    def write(self, value):
        self.take(1)
        kind = type(value)
        if value is None or kind in (bool, float):
            return value
        for base, write in WRITE:
            if isinstance(value, base):
                return write(self, value)
        return self.other(value)

    def whole(self, value):
        self.take(value.bit_length() >> 6)
        return value if abs(value) < 1 << 53 else ["int", hex(value)]

    def text(self, value):
        self.take(len(value) >> 6)
        return value

    def set(self, kind, value):
        # Sorted, because the same set must always be the same text.
        return [kind, *sorted(self.all(value), key=json.dumps)]

    def dict(self, kind, value, *more):
        return [kind, *more, [self.all(pair) for pair in dict.items(value)]]

    def tuple(self, value):
        fields = getattr(type(value), "_fields", None)
        if fields is None:
            return ["tuple", *self.all(value)]
        return ["namedtuple", type(value).__name__, list(fields), *self.all(value)]

    def builtin(self, value):
        """The name of a builtin, or none."""
        name = repr(value) if value is ... or value is NotImplemented else getattr(value, "__name__", None)
        known = isinstance(name, str) and getattr(builtins, name, self) is value
        return name if known and (isinstance(value, type) or name in FUNCTIONS) else None

    def iterator(self, value):
        """Its first items, and how it ends: none if that isn't known."""
        # An endless one leaves room for the next.
        items, least = [], self.left // 2
        try:
            for item in itertools.islice(value, ITEMS):
                items.append(self.write(item))
                if self.left < least:
                    return ["iterator", None, *items]
        except Unsupported:
            raise
        except Exception as error:
            return ["iterator", self.error(error), *items]
        return ["iterator", ["end"] if len(items) < ITEMS else None, *items]

    def error(self, error):
        """An exception, with the classes that may catch it."""
        classes = [[base.__module__, base.__qualname__] for base in type(error).__mro__]
        try:
            return ["error", classes, Writer(self.scope, True).all(error.args)]
        except Unsupported:
            return ["error", classes, []]

    def other(self, value):
        kind, name = type(value), type(value).__name__
        if isinstance(value, Made):
            args, kwargs = value.made
            state = {key: item for key, item in value.__dict__.items() if key != "made"}
            return ["made", name, self.all(args), self.dict("dict", kwargs), self.dict("dict", state)]
        if isinstance(value, Function):
            return ["function", value.callee]
        if self.builtin(value):
            return ["builtin", self.builtin(value)]
        if kind.__module__ == "numpy" and getattr(value, "ndim", None) == 0:
            return self.write(value.item())
        if hasattr(kind, "__next__"):
            return self.iterator(value)
        if kind.__module__ == self.scope["__name__"] and isinstance(self.scope.get(name), type):
            if isinstance(value, enum.Enum):
                return ["member", name, value.name]
            return ["object", name, self.dict("dict", getattr(value, "__dict__", {}))]
        if not self.lenient:
            raise Unsupported("a value of the class %s" % name)
        return ["callable" if callable(value) else "stranger"]


# The first class that fits decides.
WRITE = [
    (enum.IntEnum, lambda w, v: w.whole(int(v))),
    (enum.Enum, lambda w, v: w.other(v)),
    (int, lambda w, v: w.whole(int(v))),
    (float, lambda w, v: float(v)),
    (complex, lambda w, v: ["complex", v.real, v.imag]),
    (str, lambda w, v: w.text(str.__str__(v))),
    (bytes, lambda w, v: ["bytes", w.text(v.hex())]),
    (bytearray, lambda w, v: ["bytearray", w.text(v.hex())]),
    (range, lambda w, v: ["range", *w.all((v.start, v.stop, v.step))]),
    (collections.Counter, lambda w, v: w.dict("Counter", v)),
    (collections.OrderedDict, lambda w, v: w.dict("OrderedDict", v)),
    (collections.defaultdict, lambda w, v: w.dict("defaultdict", v, w.builtin(v.default_factory))),
    (dict, lambda w, v: w.dict("dict", v)),
    (tuple, lambda w, v: w.tuple(v)),
    (list, lambda w, v: ["list", *w.all(list.__iter__(v))]),
    (collections.deque, lambda w, v: ["deque", v.maxlen, *w.all(v)]),
    (set, lambda w, v: w.set("set", v)),
    (frozenset, lambda w, v: w.set("frozenset", v)),
    (type({}.keys()), lambda w, v: ["keys", *w.all(v)]),
    (type({}.values()), lambda w, v: ["values", *w.all(v)]),
    (type({}.items()), lambda w, v: ["items", *w.all(v)]),
    (fractions.Fraction, lambda w, v: ["Fraction", *w.all((v.numerator, v.denominator))]),
    (decimal.Decimal, lambda w, v: ["Decimal", w.text(str(v))]),
    (datetime.datetime, lambda w, v: ["datetime", v.isoformat()]),
    (datetime.date, lambda w, v: ["date", v.isoformat()]),
    (datetime.time, lambda w, v: ["time", v.isoformat()]),
    (datetime.timedelta, lambda w, v: ["timedelta", v.days, v.seconds, v.microseconds]),
]


class Reader:
    """Reads what a writer wrote. With `ask`, the functions of the scope live in the other process, which isn't trusted:
    a name that it chose reaches nothing but classes, and the results of calls come from `ask`."""

    def __init__(self, scope, ask=None):
        self.scope, self.ask = scope, ask

    def all(self, data):
        return [self.read(part) for part in data]

    def pairs(self, data):
        return [tuple(self.all(pair)) for pair in data]

    def read(self, data, call=None):
        """The value. `call` is what gave it, by which a function is called."""
        if not isinstance(data, list):
            return data
        kind, *parts = data
        if kind == "callable" and call:
            return Function(["result", call], self.ask)
        return READ[kind](self, *parts)

    def function(self, callee):
        """The function of a name, or the result of a call."""
        if self.ask:
            return Function(callee, self.ask)
        if isinstance(callee, str):
            return self.scope[callee]
        _, (callee, args, kwargs) = callee
        return self.function(callee)(*self.all(args), **self.read(kwargs))

    def made(self, name, args, kwargs, state):
        if self.ask:
            raise Unsupported("an order to make an object")
        value = self.scope[name](*self.all(args), **self.read(kwargs))
        for key, item in self.read(state).items():
            setattr(value, key, item)
        return value

    def object(self, name, state):
        if not isinstance(self.scope.get(name), type):
            return Stranger()
        value = object.__new__(self.scope[name])
        value.__dict__.update(self.read(state))
        return value

    def member(self, name, member):
        kind = self.scope.get(name)
        return kind[member] if isinstance(kind, enum.EnumMeta) else Stranger()

    def builtin(self, name):
        found = getattr(builtins, name)
        if not isinstance(found, type) and name not in FUNCTIONS:
            raise Unsupported(name)
        return found

    def iterator(self, end, *items):
        yield from self.all(items)
        if end is None:
            raise Unsupported("more items than travel")
        if end[0] == "error":
            raise self.error(*end[1:])

    def error(self, classes, args):
        """An exception of the first class that is known here, and of none that stops tests without failing them."""
        args = self.all(args)
        for module, name in classes:
            scope = self.scope if module in ("answer", "tests") else vars(sys.modules.get(module, object))
            found = scope.get(name)
            if isinstance(found, type) and issubclass(found, (Exception, SystemExit, KeyboardInterrupt)):
                try:
                    return found(*args)
                except Exception:
                    return found.__new__(found, *args)
        return RuntimeError()


READ = {
    "int": lambda r, text: int(text, 16),
    "complex": lambda r, real, imag: complex(real, imag),
    "bytes": lambda r, text: bytes.fromhex(text),
    "bytearray": lambda r, text: bytearray.fromhex(text),
    "range": lambda r, *parts: range(*r.all(parts)),
    "Counter": lambda r, pairs: collections.Counter(dict(r.pairs(pairs))),
    "OrderedDict": lambda r, pairs: collections.OrderedDict(r.pairs(pairs)),
    "defaultdict": lambda r, kind, pairs: collections.defaultdict(kind and r.builtin(kind), r.pairs(pairs)),
    "dict": lambda r, pairs: dict(r.pairs(pairs)),
    "tuple": lambda r, *items: tuple(r.all(items)),
    "namedtuple": lambda r, name, fields, *items: collections.namedtuple(name, fields)(*r.all(items)),
    "list": lambda r, *items: r.all(items),
    "deque": lambda r, most, *items: collections.deque(r.all(items), most),
    "set": lambda r, *items: set(r.all(items)),
    "frozenset": lambda r, *items: frozenset(r.all(items)),
    "keys": lambda r, *items: dict.fromkeys(r.all(items)).keys(),
    "values": lambda r, *items: dict(enumerate(r.all(items))).values(),
    "items": lambda r, *items: dict(r.all(items)).items(),
    "Fraction": lambda r, *parts: fractions.Fraction(*r.all(parts)),
    "Decimal": lambda r, text: decimal.Decimal(text),
    "datetime": lambda r, text: datetime.datetime.fromisoformat(text),
    "date": lambda r, text: datetime.date.fromisoformat(text),
    "time": lambda r, text: datetime.time.fromisoformat(text),
    "timedelta": lambda r, *parts: datetime.timedelta(*parts),
    "iterator": Reader.iterator,
    "made": Reader.made,
    "object": Reader.object,
    "member": Reader.member,
    "builtin": Reader.builtin,
    "function": Reader.function,
    "callable": lambda r: Stranger(),
    "stranger": lambda r: Stranger(),
}
