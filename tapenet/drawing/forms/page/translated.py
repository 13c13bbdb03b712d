"""Python as JavaScript: what decides how a picture looks is written once, in Python, and runs on a page too.

`javascript` takes functions and classes, and with them all that they use of this package. It knows a plain part of Python:

- functions, also with defaults, keywords, inner ones and `yield`; classes with methods and properties, without bases but
  NamedTuple; constants of modules;
- assignments, also to several names, to items and slices; `if`, `for`, `while`, `return`, `continue`, `break`;
- numbers, texts, f-strings with `:,` alone, lists, tuples, sets, dicts (also with tuples as keys), slices, comprehensions,
  lambdas, comparisons, conditions; the functions of `_FUNCTIONS`, and the methods named below it.

All else is refused with its file and line. What differs: a float that is a whole number is written without ".0", and
generator expressions are worked out at once.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib.resources import files
from typing import NoReturn

_PACKAGE = "tapenet.drawing."
#: What the page has of its own.
_GIVEN = frozenset({"room", "clean"})
#: Of Python and its library; in JavaScript they begin with "$".
_FUNCTIONS = {
    "Counter", "abs", "all", "any", "bisect_left", "bisect_right", "bool", "copysign", "dict", "dist", "enumerate", "float",
    "frozenset", "int", "iter", "len", "list", "map", "max", "min", "next", "pairwise", "range", "reversed", "round", "set",
    "sorted", "str", "sum", "tuple", "zip",
}  # fmt: skip
#: Keywords of these, in the order in which JavaScript takes them after the one argument.
_KEYWORDS = {"max": ("key", "default"), "min": ("key", "default"), "sorted": ("key",), "sort": ("key",), "zip": ()}
#: Methods that JavaScript has by another name, by the same, and those that are functions there.
_RENAMED = {
    "append": "push", "replace": "replaceAll", "startswith": "startsWith", "endswith": "endsWith", "strip": "trim"
}  # fmt: skip
_METHODS = {"add", "get", "items", "keys", "most_common", "reverse", "setdefault", "split", "update", "values"}
_APART = {"count", "index", "insert", "isdigit", "join", "pop", "remove", "removesuffix", "sort"}
#: Words that mean something else in JavaScript.
_WORDS = {
    "arguments", "await", "case", "catch", "const", "debugger", "default", "delete", "do", "enum", "eval", "export", "extends",
    "function", "in", "instanceof", "let", "new", "null", "package", "private", "protected", "public", "static", "super",
    "switch", "this", "throw", "true", "try", "typeof", "undefined", "var", "void", "with",
}  # fmt: skip
_SYMBOLS = {
    ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="
}  # fmt: skip
#: How numbers are written, by the format of an f-string.
_FORMATS = {",": "$thousands({})", ".1f": "({}).toFixed(1)"}
_SEQUENCES = (ast.List, ast.ListComp, ast.Tuple)


@cache
def javascript(*names: str) -> str:
    """The code of these functions and classes, and of all that they use.

    Args:
        names: each with its module below `tapenet.drawing`: "layout.layout.place".

    Raises:
        SyntaxError: something in them is not of the part of Python that is known here.

    >>> print(javascript("layout.order._number"))
    function _number(layer, place) {
      let i, k;
      for (let $at = 0, $all = $array(layer); $at < $all.length; $at++) {
        k = $at;
        i = $all[$at];
        $put(place, i, k);
      }
    }
    """
    program = _Program()
    for name in names:
        module, _, found = name.rpartition(".")
        program.need(_PACKAGE + module, found)
    return "\n".join(program.lines)


def _source(module: str) -> str:
    package, _, stem = module.rpartition(".")
    return files(package).joinpath(f"{stem}.py").read_text(encoding="utf-8")


class _Module:
    """A module as written: its definitions by name, and where the names that it imports are from."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.stem = name.rpartition(".")[2]
        tree = ast.parse(_source(name))
        self.defined: dict[str, ast.stmt] = {}
        self.imported: dict[str, str] = {}
        for node in tree.body:
            if isinstance(node, ast.ImportFrom):
                self.imported |= {alias.name: node.module or "" for alias in node.names}
            elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                self.defined[node.name] = node
            elif isinstance(node, ast.Assign):
                self.defined |= {name: node for target in node.targets for name in _names(target)}
            elif isinstance(node, ast.AnnAssign):
                self.defined |= dict.fromkeys(_names(node.target), node)
        classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
        self.methods = {part.name: part for c in classes for part in c.body if isinstance(part, ast.FunctionDef)}


class _Program:
    """What was translated so far, in an order in which it can run."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.modules: dict[str, _Module] = {}
        self.called: dict[tuple[str, str], str] = {}
        self.taken: set[str] = set()
        self.begun: set[ast.stmt] = set()

    def module(self, name: str) -> _Module:
        if name not in self.modules:
            self.modules[name] = _Module(name)
        return self.modules[name]

    def need(self, module: str, name: str) -> str:
        """What a definition is called, once it is there."""
        found = self.module(module)
        called = self.called.get((module, name))
        if called is None:
            called = _word(name) if name not in self.taken else f"{_word(name)}_{found.stem}"
            self.called[module, name] = called
            self.taken.add(called)
        node = found.defined[name]
        if node not in self.begun:
            self.begun.add(node)
            self.lines += _Writer(self, found, node).definition()
        return called


class _Writer:
    """Writes one definition of a module."""

    def __init__(self, program: _Program, module: _Module, node: ast.stmt) -> None:
        self.program = program
        self.module = module
        self.node = node
        self.local: list[set[str]] = []
        self.pairs = 0

    def refuse(self, node: ast.AST, why: str = "") -> NoReturn:
        at = f"{self.module.name}, line {getattr(node, 'lineno', self.node.lineno)}"
        raise SyntaxError(f"{at}: {why or type(node).__name__} is not translated to JavaScript")

    # -- definitions -----------------------------------------------------------------------------------------------

    def definition(self) -> list[str]:
        node = self.node
        if isinstance(node, ast.FunctionDef):
            return self.function(node, f"function{'*' * _yields(node)} {self.name(node.name, node)}")
        if isinstance(node, ast.ClassDef):
            return self.type(node)
        value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
        if value is None:
            self.refuse(node)
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]  # type: ignore[attr-defined]
        written = self.expr(value)
        if len(targets) > 1:
            self.refuse(node)
        (target,) = targets
        if isinstance(target, ast.Name):
            return [f"const {self.name(target.id, target)} = {written};"]
        names = [self.name(name, target) for name in _names(target)]
        if isinstance(value, ast.Tuple):
            pairs = [f"{name} = {self.expr(each)}" for name, each in zip(names, value.elts, strict=True)]
            return [f"const {', '.join(pairs)};"]
        return [f"const [{', '.join(names)}] = {written};"]

    def type(self, node: ast.ClassDef) -> list[str]:
        bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
        if node.decorator_list or bases not in ([], ["NamedTuple"]):
            self.refuse(node, "a class with bases or decorators")
        lines: list[str] = []
        fields: list[str] = []
        for part in node.body:
            if isinstance(part, ast.AnnAssign) and bases:
                name = ast.unparse(part.target)
                fields.append(name if part.value is None else f"{name} = {self.expr(part.value)}")
            elif isinstance(part, ast.FunctionDef):
                decorators = [ast.unparse(d) for d in part.decorator_list]
                if decorators not in ([], ["property"]):
                    self.refuse(part, f"the decorator {decorators[0]}")
                name = {"__init__": "constructor", "__str__": "toString"}.get(part.name, part.name)
                lines += self.function(part, f"{'get ' * bool(decorators)}{'*' * _yields(part)}{name}", method=True)
            elif not _is_docstring(part):
                self.refuse(part)
        called = self.name(node.name, node)
        if bases:
            names = [field.partition(" ")[0] for field in fields]
            body = " ".join(f"this.{name} = {_word(name)};" for name in names)
            taken = ", ".join(_word(field) if "=" not in field else field for field in fields)
            lines = [f"static fields = {names!r};", f"constructor({taken}) {{ super(); {body} }}", *lines]
        return [f"class {called}{' extends $Tuple' * bool(bases)} {{", *_indented(lines), "}"]

    def function(self, node: ast.FunctionDef, head: str, method: bool = False) -> list[str]:
        names = _parameters(node)[method:]
        defaults = {name: self.expr(value) for name, value in _defaults(node).items()}
        if node.args.vararg or node.args.kwarg:
            self.refuse(node, "a function of any number of arguments")
        self.local.append({*names, *({"self"} if method else ())})
        own = sorted(set(_assigned(node.body)) - set(names))
        self.local[-1].update(own)
        body = [f"let {', '.join(map(_word, own))};"] if own else []
        body += self.block(node.body)
        self.local.pop()
        taken = [_word(name) + (f" = {defaults[name]}" if name in defaults else "") for name in names]
        given = f"{head}({', '.join(taken)})" if not head.endswith("=") else f"{head} ({', '.join(taken)}) =>"
        return [f"{given} {{", *_indented(body), "}"]

    # -- statements ------------------------------------------------------------------------------------------------

    def block(self, nodes: Iterable[ast.stmt]) -> list[str]:
        return [line for node in nodes if not _is_docstring(node) for line in self.statement(node)]

    def statement(self, node: ast.stmt) -> list[str]:
        match node:
            case ast.Return(value=value):
                return [f"return {self.expr(value)};" if value is not None else "return;"]
            case ast.Expr(value=value):
                return [f"{self.expr(value)};"]
            case ast.Pass():
                return []
            case ast.Continue():
                return ["continue;"]
            case ast.Break():
                return ["break;"]
            case ast.Assign(targets=[ast.Tuple(elts=several)], value=ast.Tuple(elts=values)) if not any(
                isinstance(part, ast.Starred) for part in (*several, *values)
            ):
                made = ", ".join(f"$value{k} = {self.expr(each)}" for k, each in enumerate(values))
                given = [line for k, part in enumerate(several) for line in self.assign(part, f"$value{k}")]
                return ["{", f"  const {made};", *_indented(given), "}"]
            case ast.Assign(targets=[target], value=value):
                return self.assign(target, self.expr(value))
            case ast.Assign(targets=targets, value=value):
                parts = [line for target in targets for line in self.assign(target, "$value")]
                return ["{", f"  const $value = {self.expr(value)};", *_indented(parts), "}"]
            case ast.AnnAssign(target=target, value=value):
                return self.assign(target, self.expr(value)) if value is not None else []
            case ast.AugAssign(target=ast.Subscript(value=whole, slice=index), op=op, value=value):
                new = self.binary(op, "$get($whole, $index)", self.expr(value), None, value, self_add=True)
                return [
                    f"{{ const $whole = {self.expr(whole)}, $index = {self.expr(index)}; $put($whole, $index, {new}); }}"
                ]
            case ast.AugAssign(target=target, op=op, value=value):
                before = self.target(target)
                return [f"{before} = {self.binary(op, before, self.expr(value), None, value, self_add=True)};"]
            case ast.If(test=test, body=body, orelse=orelse):
                lines = [f"if ({self.condition(test)}) {{", *_indented(self.block(body)), "}"]
                if orelse:
                    lines[-1] = "} else {"
                    lines += [*_indented(self.block(orelse)), "}"]
                return lines
            case ast.While(test=test, body=body, orelse=[]):
                return [f"while ({self.condition(test)}) {{", *_indented(self.block(body)), "}"]
            case ast.For(target=target, iter=over, body=body, orelse=[]):
                return [*self.loop(target, over), *_indented(self.block(body)), "}"]
            case ast.FunctionDef():
                return self.function(node, f"{_word(node.name)} =")
        self.refuse(node)

    def loop(self, target: ast.expr, over: ast.expr) -> list[str]:
        """The head of a loop. That over positions or several lists is one over numbers, since it is quick."""
        match target, over:
            case ast.Name(), ast.Call(func=ast.Name(id="range"), args=[*bounds]):
                whole = bounds if len(bounds) == 3 else [*[ast.Constant(0), *bounds][-2:], ast.Constant(1)]
                start, end, step = map(self.expr, whole)
                test = ">" if step.startswith("-") else "<"
                return [
                    f"for (let $at = {start}, $end = {end}; $at {test} $end; $at += {step}) {{",
                    f"  {self.target(target)} = $at;",
                ]
            case ast.Tuple(elts=[number, each]), ast.Call(func=ast.Name(id="enumerate"), args=[whole, *start]):
                begin = f"{self.expr(start[0])} + " if start else ""
                head = f"for (let $at = 0, $all = $array({self.expr(whole)}); $at < $all.length; $at++) {{"
                return [head, *_indented([*self.assign(number, f"{begin}$at"), *self.assign(each, "$all[$at]")])]
            case ast.Tuple(elts=parts), ast.Call(
                func=ast.Name(id="zip"), args=wholes, keywords=[ast.keyword(value=ast.Constant(value=True))]
            ):
                lists = ", ".join(f"$array({self.expr(whole)})" for whole in wholes)
                inside = [line for k, part in enumerate(parts) for line in self.assign(part, f"$all[{k}][$at]")]
                return [f"for (let $at = 0, $all = [{lists}]; $at < $all[0].length; $at++) {{", *_indented(inside)]
            case ast.Name(), _:
                return [f"for ({self.target(target)} of {self.expr(over)}) {{"]
        return [f"for (const $each of {self.expr(over)}) {{", *_indented(self.assign(target, "$each"))]

    def assign(self, target: ast.expr, value: str) -> list[str]:
        match target:
            case ast.Subscript(value=whole, slice=ast.Slice(lower=lower, upper=upper, step=None)):
                return [f"$splice({self.expr(whole)}, {self.part(lower)}, {self.part(upper)}, {value});"]
            case ast.Subscript(value=whole, slice=index):
                return [f"$put({self.expr(whole)}, {self.expr(index)}, {value});"]
            case ast.Tuple(elts=[_, _, *_] as parts) if not any(isinstance(part, ast.Starred) for part in parts):
                self.pairs += 1
                pair = f"$pair{self.pairs}"
                inside = [line for k, part in enumerate(parts) for line in self.assign(part, f"{pair}[{k}]")]
                return ["{", f"  const {pair} = {value};", *_indented(inside), "}"]
            case ast.Name(id="_"):
                return []
        return [f"{self.target(target)} = {value};"]

    def target(self, node: ast.expr) -> str:
        match node:
            case ast.Name(id=name):
                return _word(name)
            case ast.Attribute(value=value, attr=attr):
                return f"{self.expr(value)}.{attr}"
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                inside = ["" if isinstance(part, ast.Name) and part.id == "_" else self.target(part) for part in parts]
                return f"[{', '.join(inside)}]"
            case ast.Starred(value=ast.Name(id=name)):
                return f"...{_word(name)}"
        self.refuse(node)

    # -- expressions -----------------------------------------------------------------------------------------------

    def name(self, name: str, node: ast.AST) -> str:
        """What a name of a module is called."""
        if name in self.module.defined:
            return self.program.need(self.module.name, name)
        origin = self.module.imported.get(name, "")
        if name in _GIVEN:
            return name
        if origin.startswith(_PACKAGE):
            return self.program.need(origin, name)
        if name in _FUNCTIONS:
            return f"${name}"
        self.refuse(node, f"{name!r}")

    def expr(self, node: ast.expr) -> str:
        match node:
            case ast.Constant(value=None):
                return "null"
            case ast.Constant(value=bool() as value):
                return str(value).lower()
            case ast.Constant(value=int() | float() as value):
                return repr(value)
            case ast.Constant(value=str() as value):
                return json.dumps(value)
            case ast.Name(id="self"):
                return "this"
            case ast.Name(id=name):
                return _word(name) if any(name in names for names in self.local) else self.name(name, node)
            case ast.Attribute(value=value, attr="__getitem__"):
                return f"((i) => $get({self.expr(value)}, i))"
            case ast.Attribute(value=value, attr=attr):
                return f"{self.expr(value)}.{attr}"
            case ast.Subscript(value=value, slice=ast.Slice(lower=lower, upper=upper, step=step)):
                parts = ", ".join(map(self.part, (lower, upper, step)))
                return f"$slice({self.expr(value)}, {parts})"
            case ast.Subscript(value=value, slice=index):
                return f"$get({self.expr(value)}, {self.expr(index)})"
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                return f"[{', '.join(map(self.expr, parts))}]"
            case ast.Set(elts=parts):
                return f"new $Set([{', '.join(map(self.expr, parts))}])"
            case ast.Dict(keys=keys, values=values):
                pairs = [
                    f"...{self.expr(value)}.items()" if key is None else f"[{self.expr(key)}, {self.expr(value)}]"
                    for key, value in zip(keys, values, strict=True)
                ]
                return f"new $Dict([{', '.join(pairs)}])"
            case ast.Starred(value=value):
                return f"...{self.expr(value)}"
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return f"!{_closed(self.condition(operand), operand)}"
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return (
                    f"-{self.expr(operand)}"
                    if isinstance(operand, (ast.Constant, ast.Name))
                    else f"-({self.expr(operand)})"
                )
            case ast.BinOp(left=left, op=op, right=right):
                return self.binary(op, self.expr(left), self.expr(right), left, right)
            case ast.BoolOp(op=op, values=values):
                if all(map(_is_boolean, values)):
                    return self.condition(node)
                found = self.expr(values[-1])
                for value in reversed(values[:-1]):
                    found = f"{'$and' if isinstance(op, ast.And) else '$or'}({self.expr(value)}, () => {found})"
                return found
            case ast.Compare(left=left, ops=ops, comparators=others):
                pairs = [self.compare(a, op, b) for a, op, b in zip([left, *others], ops, others, strict=False)]
                return pairs[0] if len(pairs) == 1 else f"({' && '.join(pairs)})"
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return f"({self.condition(test)} ? {self.expr(body)} : {self.expr(orelse)})"
            case ast.Lambda(args=args, body=body):
                names = [arg.arg for arg in args.args]
                self.local.append(set(names))
                found = f"(({', '.join(map(_word, names))}) => {self.expr(body)})"
                self.local.pop()
                return found
            case ast.ListComp(elt=elt, generators=loops) | ast.GeneratorExp(elt=elt, generators=loops):
                return self.comprehension(loops, lambda: self.expr(elt))
            case ast.SetComp(elt=elt, generators=loops):
                return f"new $Set({self.comprehension(loops, lambda: self.expr(elt))})"
            case ast.DictComp(key=key, value=kept, generators=loops):
                return f"new $Dict({self.comprehension(loops, lambda: f'[{self.expr(key)}, {self.expr(kept)}]')})"
            case ast.JoinedStr(values=values):
                return f"`{''.join(map(self.piece, values))}`"
            case ast.Yield(value=value) if value is not None:
                return f"yield {self.expr(value)}"
            case ast.Call():
                return self.call(node)
        self.refuse(node)

    def part(self, node: ast.expr | None) -> str:
        return "null" if node is None else self.expr(node)

    def piece(self, node: ast.expr) -> str:
        """A part of an f-string."""
        match node:
            case ast.Constant(value=str() as value):
                return json.dumps(value)[1:-1].replace("`", "\\`").replace("${", "\\${")
            case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
                return f"${{$str({self.expr(value)})}}"
            case ast.FormattedValue(
                value=value, conversion=-1, format_spec=ast.JoinedStr([ast.Constant(str() as form)])
            ) if form in _FORMATS:
                return f"${{{_FORMATS[form].format(self.expr(value))}}}"
        self.refuse(node, "this part of an f-string")

    def condition(self, node: ast.expr) -> str:
        """An expression of which only the truth matters."""
        if isinstance(node, ast.BoolOp):
            return f"({(' && ' if isinstance(node.op, ast.And) else ' || ').join(map(self.condition, node.values))})"
        return self.expr(node) if _is_boolean(node) else f"$truth({self.expr(node)})"

    def compare(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> str:
        a, b = self.expr(left), self.expr(right)
        match op:
            case ast.Is():
                return f"{a} === {b}"
            case ast.IsNot():
                return f"{a} !== {b}"
            case ast.Eq() | ast.NotEq():
                same = isinstance(op, ast.Eq)
                if _is_number(left) or _is_number(right):
                    return f"{a} {'===' if same else '!=='} {b}"
                return f"{'' if same else '!'}$equal({a}, {b})"
            case ast.In():
                return f"$in({a}, {b})"
            case ast.NotIn():
                return f"!$in({a}, {b})"
        return f"{a} {_SYMBOLS[type(op)]} {b}"

    def binary(
        self, op: ast.operator, a: str, b: str, left: ast.expr | None, right: ast.expr, self_add: bool = False
    ) -> str:
        lists = isinstance(left, _SEQUENCES), isinstance(right, _SEQUENCES)
        match op:
            case ast.Add() if self_add:
                return f"{a} + {_closed(b, right)}" if _is_number(right) else f"$grow({a}, {b})"
            case ast.Add():
                if any(lists):
                    return f"[...{a}, ...{b}]"
                return (
                    f"{_closed(a, left)} + {_closed(b, right)}"
                    if _is_number(left) or _is_number(right)
                    else f"$add({a}, {b})"
                )
            case ast.Sub() if isinstance(right, ast.Set):
                return f"$minus({a}, {b})"
            case ast.Mult() if lists[0]:
                return f"$times({a}, {b})"
            case ast.FloorDiv():
                return f"Math.floor({_closed(a, left)} / {_closed(b, right)})"
            case ast.Mod():
                return f"$modulo({a}, {b})"
            case ast.BitAnd():
                return f"$both({a}, {b})"
            case ast.BitOr():
                return f"$either({a}, {b})"
            case ast.Sub() | ast.Mult() | ast.Div() | ast.Pow():
                return f"{_closed(a, left)} {_SYMBOLS[type(op)]} {_closed(b, right)}"
        self.refuse(op, "an operator")

    def comprehension(self, loops: list[ast.comprehension], each: Callable[[], str]) -> str:
        loop, *others = loops
        over = f"$array({self.expr(loop.iter)})"
        self.local.append(set(_names(loop.target)))
        for test in loop.ifs:
            over += f".filter({_taking(loop.target, self.condition(test))})"
        inside = self.comprehension(others, each) if others else each()
        self.local.pop()
        if not others and isinstance(loop.target, ast.Name) and inside == _word(loop.target.id):
            return over if loop.ifs else f"[...{over}]"
        return f"{over}.{'flatMap' if others else 'map'}({_taking(loop.target, inside)})"

    def call(self, node: ast.Call) -> str:
        given = list(map(self.expr, node.args))
        keywords = {str(k.arg): self.expr(k.value) for k in node.keywords if k.arg != "strict"}
        match node.func:
            case ast.Name(id=name):
                pass
            case ast.Attribute(value=value, attr="_replace"):
                changes = ", ".join(f"{key}: {each}" for key, each in keywords.items())
                return f"$replace({self.expr(value)}, {{ {changes} }})"
            case ast.Attribute(value=value, attr=name):
                whole = self.expr(value)
                if name in _APART:
                    given = [whole, *given, *self.ordered(node, _KEYWORDS.get(name, ()), keywords)]
                    return f"${name}({', '.join(given)})"
                method = next((m.methods[name] for m in self.seen() if name in m.methods), None)
                if method is None and name not in _RENAMED and name not in _METHODS:
                    self.refuse(node, f"the method {name!r}")
                if keywords:
                    names = _parameters(method)[1:] if method else []
                    given += self.ordered(node, names[len(given) :], keywords)
                return f"{whole}.{_RENAMED.get(name, name)}({', '.join(given)})"
            case _:
                self.refuse(node)
        if any(name in names for names in self.local):
            return f"{_word(name)}({', '.join(given)})"
        called = self.name(name, node)
        if called.startswith("$"):
            if name in ("max", "min") and len(given) > 1 and not keywords:
                return f"Math.{name}({', '.join(given)})"
            if name in ("max", "min") and len(given) > 1:
                given = [f"[{', '.join(given)}]"]
            given += self.ordered(node, _KEYWORDS.get(name, ()), keywords)
        elif keywords:
            given += self.ordered(node, self.taken(node, name)[len(given) :], keywords)
        defined = self.defined(name)
        return f"{'new ' * isinstance(defined, ast.ClassDef)}{called}({', '.join(given)})"

    def defined(self, name: str) -> ast.stmt | None:
        origin = self.module.imported.get(name, "")
        module = self.program.module(origin) if origin.startswith(_PACKAGE) and name not in _GIVEN else self.module
        return module.defined.get(name)

    def seen(self) -> list[_Module]:
        """This module and those that it imports from."""
        origins = [origin for origin in self.module.imported.values() if origin.startswith(_PACKAGE)]
        return [self.module, *(self.program.module(origin) for origin in dict.fromkeys(origins))]

    def taken(self, node: ast.Call, name: str) -> list[str]:
        """The names of what a function or class takes."""
        found = self.defined(name)
        if isinstance(found, ast.FunctionDef):
            return _parameters(found)
        if not isinstance(found, ast.ClassDef):
            self.refuse(node, f"a call of {name!r} with keywords")
        made = [part for part in found.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"]
        fields = [ast.unparse(part.target) for part in found.body if isinstance(part, ast.AnnAssign)]
        return _parameters(made[0])[1:] if made else fields

    def ordered(self, node: ast.Call, names: Iterable[str], keywords: dict[str, str]) -> list[str]:
        """Keywords in the order of parameters."""
        names = list(names)
        if set(keywords) - set(names):
            self.refuse(node, f"the keyword {', '.join(set(keywords) - set(names))}")
        last = max((k for k, name in enumerate(names) if name in keywords), default=-1)
        return [keywords.get(name, "undefined") for name in names[: last + 1]]


def _word(name: str) -> str:
    return f"{name}_" if name in _WORDS else name


def _taking(target: ast.expr, found: str) -> str:
    """A function of one value that may be taken apart. By positions, since that is quicker than patterns."""
    if isinstance(target, ast.Name):
        return f"({_word(target.id)}) => {found}"
    parts = [f"{_word(name)} = $each{''.join(f'[{k}]' for k in path)}" for name, path in _paths(target, ())]
    return f"($each) => {{ const {', '.join(parts)}; return {found}; }}"


def _paths(target: ast.expr, path: tuple[int, ...]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The names in a target, each with the positions that lead there."""
    for k, part in enumerate(target.elts if isinstance(target, ast.Tuple) else ()):
        if not isinstance(part, ast.Name):
            yield from _paths(part, (*path, k))
        elif part.id != "_":
            yield part.id, (*path, k)


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _names(target: ast.expr) -> Iterator[str]:
    yield from (node.id for node in ast.walk(target) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))


def _assigned(body: Iterable[ast.stmt]) -> Iterator[str]:
    """The names that statements give a value to, but not what is inside of functions."""
    for node in body:
        if isinstance(node, ast.FunctionDef):
            yield node.name
            continue
        for name in ("targets", "target"):
            found = getattr(node, name, [])
            for target in found if isinstance(found, list) else [found]:
                yield from _names(target)
        for name in ("body", "orelse"):
            yield from _assigned(getattr(node, name, []))


def _parameters(node: ast.FunctionDef) -> list[str]:
    return [arg.arg for arg in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]


def _defaults(node: ast.FunctionDef) -> dict[str, ast.expr]:
    args = [arg.arg for arg in node.args.args]
    found = dict(zip(args[len(args) - len(node.args.defaults) :], node.args.defaults, strict=True))
    pairs = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    return found | {arg.arg: value for arg, value in pairs if value is not None}


def _yields(node: ast.FunctionDef) -> bool:
    return any(isinstance(part, ast.Yield) for part in ast.walk(node))


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_boolean(node: ast.expr) -> bool:
    """Whether it is true or false, and nothing else."""
    match node:
        case ast.Compare() | ast.UnaryOp(op=ast.Not()) | ast.Constant(value=bool()):
            return True
        case ast.Call(func=ast.Name(id="any" | "all")) | ast.Call(func=ast.Attribute(attr="startswith")):
            return True
        case ast.BoolOp(values=values):
            return all(map(_is_boolean, values))
    return False


def _is_number(node: ast.expr | None) -> bool:
    """Whether it is seen that it is a number, None or a text: a constant, its negative, or a sum of one."""
    match node:
        case ast.Constant() | ast.JoinedStr():
            return True
        case ast.Name(id=name):
            return name.isupper()
        case ast.UnaryOp(op=ast.USub()):
            return True
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return _is_number(left) or _is_number(right)
        case ast.BinOp(op=ast.Sub() | ast.Div() | ast.Pow()):
            return True
        case ast.BinOp(op=ast.Mult(), left=left):
            return not isinstance(left, _SEQUENCES)
        case ast.Call(func=ast.Name(id="len" | "abs" | "int" | "float" | "sum" | "room")):
            return True
    return False


def _closed(written: str, node: ast.expr | None) -> str:
    """With brackets, if it is written with an operator."""
    return f"({written})" if isinstance(node, (ast.BinOp, ast.UnaryOp, ast.Compare)) else written
