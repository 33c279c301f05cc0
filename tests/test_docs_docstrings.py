"""What a docstring of a public name must have.

- Functions and methods with parameters: ``Args``, ``Raises``, and ``Returns`` unless they return None. ``Args`` names the
  parameters in their order.
- A Tensor's entry has its shape, [in brackets], or says which other argument's it is. Some entry or result has a dtype.
- The entry of a parameter that has a default says what it is.
- Classes document the parameters of their constructor likewise; data classes and named tuples their ``Attributes``.
- ``Source``, in its docstring or its module's, for whatever has a definition that is not this package's own.
"""

import inspect
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from torch import Tensor

import torch_fused_attn
from torch_fused_attn import flash_attn_interface, paged_kv_cache, sdpa, swap
from torch_fused_attn.integrations import transformers


def exported(module: Any, names: list[str]) -> dict[str, Any]:
    """Return the functions and classes among the names of a module."""
    found = {f"{module.__name__}.{name}": getattr(module, name) for name in names}
    return {name: value for name, value in found.items() if callable(value)}


#: Every public function and class, by name.
PUBLIC = {
    **exported(torch_fused_attn, torch_fused_attn.__all__),
    **exported(flash_attn_interface, flash_attn_interface.__all__),
    **exported(sdpa, sdpa.__all__),
    **exported(paged_kv_cache, ["OutOfBlocksError"]),
    **exported(swap, ["SwappedMultiheadAttention"]),
    **exported(transformers, transformers.__all__),
}
CLASSES = {name: value for name, value in PUBLIC.items() if inspect.isclass(value)}


def own_methods(cls: type) -> dict[str, Any]:
    """Return the public methods and properties that a class of this package defines, or a base of it does."""
    bases = [base for base in reversed(cls.__mro__) if base.__module__.startswith("torch_fused_attn")]
    members = {name: member for base in bases for name, member in vars(base).items() if not name.startswith("_")}
    kinds = (staticmethod, classmethod, property)
    return {
        name: getattr(cls, name)
        for name, member in members.items()
        if inspect.isfunction(member) or isinstance(member, kinds)
    }


METHODS = {f"{name}.{method}": value for name, cls in CLASSES.items() for method, value in own_methods(cls).items()}
FUNCTIONS = {name: value for name, value in {**PUBLIC, **METHODS}.items() if inspect.isroutine(value)}

#: These are inventions of this package: what they do is defined here and nowhere else.
OWN = {
    "torch_fused_attn.KernelError",
    "torch_fused_attn.SwapReport",
    "torch_fused_attn.swap_attention",
    "torch_fused_attn.swap.SwappedMultiheadAttention",
    "torch_fused_attn.integrations.transformers.register",
    *(f"torch_fused_attn.sdpa.{name}" for name in ("Counts", "counts", "disable", "enable", "enabled", "reset_counts")),
}


class Docstring(NamedTuple):
    """A docstring in Google's style, taken apart."""

    text: str
    sections: dict[str, str]

    def entries(self, section: str) -> dict[str, str]:
        """Return the entries of a section, by name, in order."""
        parts = re.split(r"^(?:\*\*)?(\w+): ", self.sections.get(section, ""), flags=re.MULTILINE)
        return dict(zip(parts[1::2], parts[2::2], strict=True))


def docstring(value: Any) -> Docstring:
    text = inspect.cleandoc(value.__doc__ or "")
    parts = re.split(r"^(Args|Returns|Raises|Attributes):\n", text, flags=re.MULTILINE)
    bodies = (re.match(r"(?:(?:    .*)?\n)*(?:    .*)?", part) for part in parts[2::2])
    sections = {
        name: inspect.cleandoc("\n" + body[0])
        for name, body in zip(parts[1::2], bodies, strict=True)
        if body is not None
    }
    return Docstring(text, sections)


def parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    found = inspect.signature(function).parameters.values()
    return [parameter for parameter in found if parameter.name not in ("self", "cls")]


def is_tensor(parameter: inspect.Parameter) -> bool:
    return parameter.annotation is Tensor or Tensor in getattr(parameter.annotation, "__args__", ())


@pytest.mark.parametrize("name", [*PUBLIC, *METHODS])
def test_begins_with_a_sentence(name: str) -> None:
    doc = docstring({**PUBLIC, **METHODS}[name])
    assert re.match(r"[A-Z`:].*?[.](\s|$)", doc.text, re.DOTALL)


def check(value: Any, documented: list[inspect.Parameter], returns: Any) -> None:
    """Check the sections of a function with parameters, or of a class and its constructor."""
    doc = docstring(value)
    entries = doc.entries("Args")
    assert [*entries] == [parameter.name for parameter in documented]
    assert "Raises" in doc.sections
    assert returns is None or "Returns" in doc.sections
    reference = r"^as \w+|'s shape"
    for parameter in documented:
        entry = entries[parameter.name]
        if is_tensor(parameter):
            assert re.search(rf"\[[^\]]+\]|{reference}", entry), f"{parameter.name} has no shape"
        if parameter.default is not parameter.empty:
            assert re.search(r"[Dd]efault|without effect|^as \w+", entry), f"{parameter.name}: which default?"
    if any(map(is_tensor, documented)):
        text = " ".join([*entries.values(), doc.sections.get("Returns", "")])
        assert re.search(r"\b(fp32|int32|int64|bool)\b|\bdtype\b", text), "no dtype"


@pytest.mark.parametrize("name", [name for name, function in FUNCTIONS.items() if parameters(function)])
def test_functions(name: str) -> None:
    annotation = inspect.signature(FUNCTIONS[name]).return_annotation
    is_context = getattr(FUNCTIONS[name], "__wrapped__", None) is not None  # contextmanager's
    check(FUNCTIONS[name], parameters(FUNCTIONS[name]), None if is_context else annotation)


def fields(cls: type) -> list[str]:
    """Return the public fields of a data class or named tuple."""
    own = getattr(cls, "_fields", None) or getattr(cls, "__dataclass_fields__", ())
    return [name for name in own if not name.startswith("_")]


@pytest.mark.parametrize("name", [name for name, cls in CLASSES.items() if not fields(cls) and "__init__" in vars(cls)])
def test_classes(name: str) -> None:
    """With a constructor of their own; others are documented where the constructor is."""
    cls = CLASSES[name]
    if issubclass(cls, Exception):
        attributes = {"KernelError": ["kernel", "reason", "details"], "OutOfBlocksError": ["needed", "free"]}
        assert list(docstring(cls).entries("Attributes")) == attributes[cls.__name__]
        return
    check(cls, parameters(cls.__init__), None)


@pytest.mark.parametrize("name", [name for name, cls in CLASSES.items() if fields(cls)])
def test_data(name: str) -> None:
    assert list(docstring(CLASSES[name]).entries("Attributes")) == fields(CLASSES[name])


@pytest.mark.parametrize("name", [name for name in PUBLIC if name not in OWN])
def test_has_its_source(name: str) -> None:
    texts = (PUBLIC[name].__doc__, inspect.getmodule(PUBLIC[name]).__doc__)
    assert any(re.search(r"^ *Source( of the interface)?: ", text or "", re.MULTILINE) for text in texts)


def test_the_rules_see_tensors() -> None:
    """Annotations that are strings would pass every rule about shapes."""
    found = sum(is_tensor(parameter) for function in FUNCTIONS.values() for parameter in parameters(function))
    assert found > 80


def test_modules_are_described() -> None:
    for module in (torch_fused_attn, flash_attn_interface, sdpa, swap, transformers):
        assert len(module.__doc__ or "") > 50, module.__name__
