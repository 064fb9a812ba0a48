"""Evaluating a CXXRTL model: a module in which nothing has changed is skipped, and an edge only loads registers."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cosim.backends.rewrite.edge_evaluation import does_nothing, split_at_edge
from rtl.rewrite.tested_versions import check_tested_versions

__all__ = ["skip_unchanged"]

_CLASS = re.compile(r"^struct (\w+) : public module \{\n(.*?)^\}; // struct \1\n", re.MULTILINE | re.DOTALL)
_EVAL = re.compile(r"^bool (\w+)::eval\(performer \*performer\) \{\n(.*?)^\}\n", re.MULTILINE | re.DOTALL)
_RESET = re.compile(r"^void \w+::reset\(\) \{\n", re.MULTILINE)
_INSTANCE = re.compile(r"^\t(\w+) (cell_\w+) \{interior\(\)\};\n", re.MULTILINE)
_INPUT = re.compile(r"^\t/\*input\*/ (value<\d+>) (\w+);\n", re.MULTILINE)
_WIRE = re.compile(r"\bwire<\d+> (\w+);\n")
_DRIVE = re.compile(r"^\t(cell_\w+)\.(?!p_clk )(\w+) = (.*);\n", re.MULTILINE)

_EDGE = re.compile(r"^\tif \(posedge_p_clk\) \{\n.*?^\t\}\n", re.MULTILINE | re.DOTALL)
_NEXT = re.compile(r"(?<![\w.])(\w+)\.next\b")
_READ = re.compile(r"(?<![\w.])((?:(cell_\w+)\.)?(\w+))\.curr\b")
_COMMIT = re.compile(r"^\t\tif \((\w+)\.commit\(observer\)\) changed = true;\n", re.MULTILINE)

_OTHER_EDGE = re.compile(
    r"negedge_|posedge_(?!p_clk\b)|\.p_clk = (?!p_clk;)|\.(?!p_clk\b)\w+ = p_clk;|\bbb_p_"
)
"""What is not the rising edge of the one clock, and black boxes: how they behave is not known here."""

_NAMESPACE = "namespace cxxrtl_design {\n"
_SUPPORT = """
// At the rising edge of the clock: whether this evaluation is the first one after it.
static bool rising_edge;

template<class T> struct exactly { typedef T type; };

template<class ModuleT, size_t Bits>
CXXRTL_ALWAYS_INLINE
void drive(ModuleT &module, value<Bits> &input, const typename exactly<value<Bits>>::type &driven) {
	if (input != driven) {
		input = driven;
		module.unsettled = module.restless = true;
	}
}

"""
_AT_EDGE = "\tconst bool posedge_p_clk = true;\n"
_MARK = "unsettled = restless = true;\n"


def skip_unchanged(source: str) -> str:
    """Return the C++ that CXXRTL wrote, with modules that skip an evaluation in which nothing can change.

    CXXRTL evaluates every module of a model several times in a clock cycle, until nothing changes any more. Here each
    instance knows whether one of its inputs, its registers or anything inside it has changed: since its last evaluation
    (it is unsettled), and since its last evaluation at a rising edge (it is restless). At an edge an instance that is
    not restless would load what its registers have; otherwise one that is not unsettled would compute the outputs that
    it has. Neither is evaluated, nor are its values committed.

    An edge comes only when everything is settled: a model whose inputs change together with the clock settles first. So
    an evaluation at an edge loads registers and memories, and an evaluation between edges computes the rest
    (:mod:`cosim.backends.rewrite.edge_evaluation`).

    An output that is no register is read as soon as it is computed. CXXRTL lets its readers wait for the next
    evaluation of the whole model.

    A memory that is written from outside wakes nobody. It has to be written before a reset ends, or while nothing reads
    it: the read that comes next wakes it.

    A source with other edges than the rising ones of a single clock, ``clk``, or with black boxes, is returned as it
    is.

    Raises
    ------
    UntestedVersionError
        If Amaranth or Yosys has a version that this was not tested with.
    """
    check_tested_versions()
    classes = {match[1]: _Class.of(match) for match in _CLASS.finditer(source)}
    evaluations = {match[1]: match[2] for match in _EVAL.finditer(source)}
    if not classes or _OTHER_EDGE.search(source):
        return source
    top = list(classes)[-1]  # a class comes behind those of its instances
    if "p_clk" not in (name for _, name in classes[top].inputs):
        return source
    direct = _direct_outputs(classes, evaluations)

    def declaration(match: re.Match[str]) -> str:
        name = match[1]
        return _declaration(match, direct[name], classes[name].inputs if name == top else [])

    def evaluation(match: re.Match[str]) -> str:
        name, body = match.groups()
        body = body.replace("\tbool posedge_p_clk = this->posedge_p_clk();\n", "", 1)
        text = _direct_reads(classes[name], body, direct, direct[name])
        at_edge, settling = split_at_edge(text)
        only_registers = does_nothing(settling)
        head = _edge(classes[name], settles=not only_registers) if name == top else ""
        head += _early_return(classes[name], only_registers=only_registers)
        if not classes[name].rests:
            return f"bool {name}::eval(performer *performer) {{\n{head}{text}}}\n"
        head += "\tif (posedge_p_clk)\n\t\treturn load(performer);\n"
        return (
            f"bool {name}::load(performer *performer) {{\n{_AT_EDGE}{''.join(at_edge)}}}\n\n"
            f"bool {name}::eval(performer *performer) {{\n{head}{''.join(settling)}}}\n"
        )

    source = _EVAL.sub(evaluation, _CLASS.sub(declaration, source))
    source = _RESET.sub(lambda match: f"{match[0]}\t{_MARK}", source)
    return source.replace(_NAMESPACE, _NAMESPACE + _SUPPORT, 1)


@dataclass(frozen=True, kw_only=True)
class _Class:
    """Members of a class: types and names of its inputs, its wires, and the class of each of its instances."""

    inputs: list[tuple[str, str]]
    wires: set[str]
    instances: dict[str, str]
    memories: bool

    @property
    def rests(self) -> bool:
        """Whether it need not be evaluated at an edge if nothing has changed.

        Without a reset there is no moment at which a memory that was written from outside has to be looked at.
        """
        return not self.memories or ("value<1>", "p_rst") in self.inputs

    @classmethod
    def of(cls, match: re.Match[str]) -> _Class:
        return cls(
            inputs=_INPUT.findall(match[2]),
            wires=set(_WIRE.findall(match[2])),
            instances={name: of for of, name in _INSTANCE.findall(match[2])},
            memories="\tmemory<" in match[2],
        )


def _direct_outputs(classes: dict[str, _Class], evaluations: dict[str, str]) -> dict[str, set[str]]:
    """The wires of each class that are no registers and are computed before anybody reads them."""
    direct = {name: _computed_first(classes[name], body) for name, body in evaluations.items()}
    for name, body in evaluations.items():
        for instance, of in classes[name].instances.items():
            before = body[: body.index(f"{instance}.eval(performer)")]
            direct[of] -= {wire for _, cell, wire in _READ.findall(before) if cell == instance}
    return direct


def _computed_first(of: _Class, body: str) -> set[str]:
    """The wires of a class that its ``eval`` computes outside of edges, and only reads behind that."""
    loaded = {wire for edge in _EDGE.finditer(body) for wire in _NEXT.findall(edge[0])}
    logic = _EDGE.sub(lambda edge: " " * len(edge[0]), body)
    computed = {
        match[1]: logic.index(";\n", match.end()) for match in _NEXT.finditer(logic)
    }  # the last place
    early = {read[1] for read in _READ.finditer(logic) if read.start() < computed.get(read[1], 0)}
    return (computed.keys() & of.wires) - loaded - early


def _direct_reads(of: _Class, body: str, direct: dict[str, set[str]], own: set[str]) -> str:
    """The body of an ``eval`` that reads direct outputs at once, and drives inputs with a look at their change."""

    def read(match: re.Match[str]) -> str:
        _, instance, wire = match.groups()
        at_once = direct[of.instances[instance]] if instance else own
        return f"{match[1]}.{'next' if wire in at_once else 'curr'}"

    return _DRIVE.sub(r"\tdrive(\1, \1.\2, \3);\n", _READ.sub(read, body))


def _declaration(match: re.Match[str], direct: set[str], inputs: list[tuple[str, str]]) -> str:
    """A class with its marks. ``inputs`` are those of the top, which are compared with what they were."""
    name, members = match.groups()
    members = _COMMIT.sub(
        lambda commit: f"\t\t{commit[1]}.commit(observer);\n" if commit[1] in direct else commit[0], members
    )
    members = members.replace(
        "\t\tbool changed = false;\n",
        "\t\tif (!evaluated)\n\t\t\treturn false;\n\t\tevaluated = false;\n\t\tbool changed = false;\n",
        1,
    )
    members = members.replace(
        "\t\treturn changed;\n", f"\t\tif (changed)\n\t\t\t{_MARK}\t\treturn changed;\n", 1
    )
    marks = "\tbool unsettled = true, restless = true, evaluated = false;\n"
    last = "".join(f"\t{of} last_{wire};\n" for of, wire in inputs)
    marks += "\tbool load(performer *performer);\n"
    return f"struct {name} : public module {{\n{marks}{last}{members}}}; // struct {name}\n"


def _edge(top: _Class, *, settles: bool) -> str:
    """What the ``eval`` of the top begins with: is this an edge, has another input changed. If so, it settles first."""
    lines = [
        "\tconst bool edge = p_clk.slice<0>().val() && !last_p_clk.slice<0>().val();\n\tlast_p_clk = p_clk;\n"
    ]
    lines += [
        f"\tif (last_{wire} != {wire}) {{\n\t\tlast_{wire} = {wire};\n\t\t{_MARK}\t}}\n"
        for _, wire in top.inputs
        if wire != "p_clk"
    ]
    if settles:
        lines.append(
            "\trising_edge = false;\n\twhile (edge && unsettled) {\n\t\teval(performer);\n\t\tcommit();\n\t}\n"
        )
    return "".join(lines) + "\trising_edge = edge;\n"


def _early_return(of: _Class, *, only_registers: bool) -> str:
    """What an ``eval`` begins with: a return if nothing can change."""
    settled = "true" if only_registers else "!unsettled"
    at_rest = "!restless" if of.rests else "false"
    return (
        "\tconst bool posedge_p_clk = rising_edge;\n"
        f"\tif (posedge_p_clk ? {at_rest} : {settled})\n"
        "\t\treturn true;\n"
        "\tunsettled = false;\n"
        "\tif (posedge_p_clk)\n"
        "\t\trestless = false;\n"
        "\tevaluated = true;\n"
    )
