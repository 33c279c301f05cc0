"""Reads the declarations of headers from clang's dump of their syntax tree."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from metalsim import toolchain
from metalsim.macos import sdk
from metalsim.macos.declarations import PREFIXES, UNKNOWN, Availability, Callable, Declarations, Owner, normalised
from metalsim.macos.torch_wheel import OLDEST_MACOS

#: The root class and protocol; on the macOS side Apple's own header declares them.
ROOT = "NSObject"

#: Encodings of C's own types, as `@encode` writes them.
_ENCODINGS = {
    **{"bool": "B", "char": "c", "unsigned char": "C", "short": "s", "unsigned short": "S", "int": "i"},
    **{"unsigned int": "I", "long": "q", "unsigned long": "Q", "long long": "q", "unsigned long long": "Q"},
    **{"float": "f", "double": "d", "id": "@"},
}


@dataclass
class Node:
    """One line of the dump, and those below it."""

    text: str
    children: list["Node"] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """The class of the node, for instance "ObjCMethodDecl"."""
        return self.text.split(" ", 1)[0]

    def of_kind(self, *kinds: str) -> Iterator["Node"]:
        """Yield the children of some kinds."""
        return (child for child in self.children if child.kind in kinds)


def tree(dump: str) -> Node:
    """Read clang's dump, in which two characters for each level stand before a node."""
    root = Node("root")
    path = [root]
    for line in dump.splitlines():
        found = re.match(r"^((?:[|` ][ -])*)(\S.*)$", line)
        if found is None:
            continue
        depth = len(found[1]) // 2
        node = Node(found[2])
        del path[depth + 1 :]
        if depth < len(path):
            path[depth].children.append(node)
        path.append(node)
    return root


def _availability(node: Node, otherwise: Availability = UNKNOWN) -> Availability:
    for attribute in node.of_kind("AvailabilityAttr"):
        found = re.search(r" macos (\S+) (\S+) \S+ ", attribute.text)
        if found:
            return Availability(*(None if version == "0" else version for version in found.groups()))
    return otherwise


def _quoted(node: Node) -> list[str]:
    """Return the types of a node: as written, then as they are."""
    return re.findall(r"'([^']*)'", node.text)


def _callable(node: Node, result: str, otherwise: Availability = UNKNOWN) -> Callable:
    arguments = (_quoted(child)[0] for child in node.of_kind("ParmVarDecl"))
    types = tuple(normalised(name) for name in (result, *arguments))
    is_variadic = node.text.endswith("variadic") or ", ...)'" in node.text
    return Callable(types, _availability(node, otherwise), is_variadic)


class _Reader:
    """Collects declarations."""

    def __init__(self) -> None:
        self.found = Declarations()
        self.availabilities: dict[str, Availability] = {}
        #: What any typedef stands for, those of the C library among them.
        self.aliases: dict[str, str] = {}
        self.records: dict[str, Node] = {}
        #: A struct whose name is that of the typedef which follows.
        self.unnamed_struct: Node | None = None
        self.readers = {
            "ObjCInterfaceDecl": self._owner,
            "ObjCProtocolDecl": self._owner,
            "EnumDecl": self._enumeration,
            "TypedefDecl": self._typedef,
            "FunctionDecl": self._function,
            "VarDecl": self._variable,
        }

    def read(self, node: Node) -> None:
        """Read the declarations of a file, of which those with a framework's prefix count."""
        for child in node.children:
            if child.kind == "RecordDecl":
                self._struct(child)
                continue
            if child.kind == "TypedefDecl":
                self.aliases[self._name(child)] = _quoted(child)[-1]
            if child.kind == "ObjCCategoryDecl":
                (interface,) = (_quoted(base)[0] for base in child.of_kind("ObjCInterface"))
                self._methods(child, interface)
            elif child.kind in self.readers and self._name(child).startswith(PREFIXES):
                self.readers[child.kind](child)
            self.unnamed_struct = None

    @staticmethod
    def _name(node: Node) -> str:
        """Return what stands before a node's first type, or last."""
        return node.text.split(" '")[0].split()[-1]

    def _function(self, node: Node) -> None:
        self.found.functions[self._name(node)] = _callable(node, _quoted(node)[0].split("(")[0])

    def _variable(self, node: Node) -> None:
        self.found.variables[self._name(node)] = normalised(_quoted(node)[0])

    def _owner(self, node: Node) -> None:
        name = self._name(node)
        protocols = tuple(_quoted(base)[0] for base in node.of_kind("ObjCProtocol"))
        superclass = next((_quoted(base)[0] for base in node.children if base.text.startswith("super ")), None)
        is_protocol = node.kind == "ObjCProtocolDecl"
        members = [*node.of_kind("ObjCMethodDecl", "AvailabilityAttr")]
        if name in self.found.owners and not members:
            return  # a forward declaration
        self.found.owners[name] = Owner(is_protocol, superclass, protocols)
        self.availabilities[name] = _availability(node)
        self._methods(node, name)

    def _methods(self, node: Node, owner: str) -> None:
        category = _availability(node, self.availabilities.get(owner, UNKNOWN))
        properties = {self._name(child): child for child in node.of_kind("ObjCPropertyDecl")}
        for child in node.of_kind("ObjCMethodDecl"):
            found = re.search(r" ([-+]) (\S+) '", child.text)
            if found is None or owner == ROOT:
                continue
            # An accessor that nobody wrote has its property's availability.
            stem = re.sub(r"^set(.)", lambda letter: letter[1].lower(), found[2].rstrip(":"))
            implicit = properties.get(found[2]) or properties.get(stem) if " implicit " in child.text else None
            known = _availability(implicit, category) if implicit else category
            self.found.methods[owner, found[1], found[2]] = _callable(child, _quoted(child)[0], known)

    def _enumeration(self, node: Node) -> None:
        name = self._name(node)
        self.found.enumerations[name] = _ENCODINGS[_quoted(node)[-1]]
        value = -1
        for constant in node.of_kind("EnumConstantDecl"):
            written = re.search(r"value: Int (-?\d+)", "\n".join(below.text for below in _descendants(constant)))
            value = int(written[1]) if written else value + 1
            self.found.constants[self._name(constant)] = (name, value % 2**64)

    def _typedef(self, node: Node) -> None:
        name = self._name(node)
        self.found.typedefs[name] = normalised(_quoted(node)[0])
        struct = self.records.get(_quoted(node)[0].removeprefix("struct "), self.unnamed_struct)
        if struct is not None:
            self._add_struct(name, struct)

    def _encoding(self, canonical: str) -> str:
        """Return the encoding of the type of a struct's field."""
        text = normalised(canonical)
        array = re.fullmatch(r"(.+)\[(\d+)\]", text)
        if array:
            return f"[{array[2]}{self._encoding(array[1])}]"
        if text.endswith("*"):
            return f"^{self._encoding(text[:-1])}"
        if text in self.found.structs:
            return f"{{{text}={self.found.structs[text][1]}}}"
        return _ENCODINGS[text] if text in _ENCODINGS else self._encoding(self.aliases[text])

    def _add_struct(self, name: str, node: Node) -> None:
        fields = list(node.of_kind("FieldDecl"))
        encodings = (self._encoding(_quoted(child)[-1]) for child in fields)
        self.found.structs[name] = (tuple(self._name(child) for child in fields), "".join(encodings))

    def _struct(self, node: Node) -> None:
        found = re.search(r"struct (?:(\w+) )?definition$", node.text)
        if found and found[1] is None:
            self.unnamed_struct = node
        elif found:
            self.records[found[1]] = node


def _descendants(node: Node) -> Iterator[Node]:
    for child in node.children:
        yield child
        yield from _descendants(child)


def read(headers: Iterable[str], frameworks: Path, scratch: Path) -> Declarations:
    """Return what headers declare, compiled for the oldest macOS.

    Args:
        headers: names as programs include them, for instance "Metal/Metal.h".
        frameworks: the folder that they are in.
        scratch: a folder for a file.
    """
    # In C++ options are plain integers, and no longer say whose they are.
    source = scratch / "headers.m"
    source.write_text("".join(f"#import <{name}>\n" for name in headers))
    target = f"MACOSX_DEPLOYMENT_TARGET={OLDEST_MACOS[0]}.{OLDEST_MACOS[1]}"
    command: list[str | Path] = ["env", target, toolchain.program("clang"), *sdk.compile_flags(frameworks)]
    command += ["-fobjc-arc", "-fsyntax-only", "-Xclang", "-ast-dump", "-fno-color-diagnostics", source]
    reader = _Reader()
    reader.read(tree(toolchain.run(command, "reading the headers of Apple's frameworks")).children[0])
    return reader.found
